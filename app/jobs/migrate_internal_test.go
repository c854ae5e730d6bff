package jobs

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/keyward/keyward/app/store"
)

func migrated(t *testing.T) *store.Store {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestQueueVersions: an update of River that brings migrations needs a decision, which
// releases work with them.
func TestQueueVersions(t *testing.T) {
	s := migrated(t)
	m, err := newMigrator(s)
	if err != nil {
		t.Fatal(err)
	}
	all := m.AllVersions()
	if last := all[len(all)-1].Version; last != len(queueVersions) {
		t.Errorf("River has %d versions of its tables, queueVersions judges %d", last, len(queueVersions))
	}
	applied, err := Migrate(context.Background(), s)
	if err != nil || len(applied) != len(all) || applied[0] != "queue_001" {
		t.Errorf("%v %v", applied, err)
	}
	if applied, err = Migrate(context.Background(), s); err != nil || len(applied) > 0 {
		t.Errorf("again: %v %v", applied, err)
	}
}

// TestNewerQueue: tables of a newer River are refused, unless a newer release recorded
// that this one works with them.
func TestNewerQueue(t *testing.T) {
	ctx := context.Background()
	s := migrated(t)
	if _, err := Migrate(ctx, s); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB.ExecContext(ctx, "INSERT INTO river_migration (line, version) VALUES ('main', 9)"); err != nil {
		t.Fatal(err)
	}
	var old *store.TooOldError
	if _, err := Migrate(ctx, s); !errors.As(err, &old) || old.Migration != "queue_009" {
		t.Errorf("not recorded: %v", err)
	}
	if err := s.RecordMigration(ctx, "queue_009", store.Release); err != nil {
		t.Fatal(err)
	}
	if applied, err := Migrate(ctx, s); err != nil || len(applied) > 0 {
		t.Errorf("recorded as compatible: %v %v", applied, err)
	}
	if err := s.RecordMigration(ctx, "queue_010", "99.1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(ctx); !errors.As(err, &old) || old.Needs != "99.1" {
		t.Errorf("recorded as incompatible: %v", err)
	}
}
