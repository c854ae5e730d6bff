package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/jobs"
	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner"
)

var update = flag.Bool("update", false, "write the golden files of this release's stored forms")

// forms are the values that the App stores as JSON: in the database, in the queue, in
// receipts. Each is a pointer to its zero value.
func forms() map[string]any {
	return map[string]any{
		"life":     &life.Life{},
		"result":   &store.Result{},
		"settings": &store.StoredSettings{},
		"facts":    &[]scanner.Fact{},
		"receipt":  &rotation.Receipt{},
		"event":    &webhook.Event{},
		"tell":     &jobs.TellArgs{},
		"look":     &jobs.LookArgs{},
		"triage":   &jobs.TriageArgs{},
		"backfill": &jobs.BackfillArgs{},
		"revoke":   &jobs.RevokeArgs{},
		"sweep":    &jobs.SweepArgs{},
	}
}

// fill gives every field of a value that JSON sees a value that is not zero.
func fill(v reflect.Value, name string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(len(name)))
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), name)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, name)
		fill(value, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fill(v.Field(i), f.Name)
			}
		}
	}
}

// TestStoredForms holds what is stored to golden files: whoever renames a field of Go may not
// change a byte of it, and whatever a release wrote has to be read by the next.
func TestStoredForms(t *testing.T) {
	for name, v := range forms() {
		fill(reflect.ValueOf(v).Elem(), name)
		got, err := json.MarshalIndent(v, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		file := filepath.Join("testdata", "stored", store.Release, name+".json")
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stored in another form than %s has: give the field the name that is stored as its tag\ngot %s", name, file, got)
		}
		for _, field := range untagged(reflect.TypeOf(v).Elem(), map[reflect.Type]bool{}) {
			t.Errorf("%s: field %s has no explicit name in JSON", name, field)
		}
	}
}

// TestFormerForms reads what former releases stored: nothing that they wrote may be lost.
func TestFormerForms(t *testing.T) {
	files, err := filepath.Glob("testdata/stored/*/*.json")
	if err != nil || len(files) < len(forms()) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := forms()[strings.TrimSuffix(filepath.Base(file), ".json")]
		if !ok {
			t.Errorf("%s: nothing reads it any more", file)
			continue
		}
		if err := json.Unmarshal(text, v); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var was, is any
		if err := json.Unmarshal(text, &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &is); err != nil {
			t.Fatal(err)
		}
		for _, path := range lost("", was, is) {
			t.Errorf("%s: %s is not read", file, path)
		}
	}
}

// lost returns the paths of values that is does not have as was has them.
func lost(path string, was, is any) (out []string) {
	switch was := was.(type) {
	case map[string]any:
		now, _ := is.(map[string]any)
		for name, value := range was {
			out = append(out, lost(path+"."+name, value, now[name])...)
		}
	case []any:
		now, _ := is.([]any)
		for i, value := range was {
			if i >= len(now) {
				return append(out, path)
			}
			out = append(out, lost(path+"[]", value, now[i])...)
		}
	default:
		if !reflect.DeepEqual(was, is) {
			out = append(out, path)
		}
	}
	return out
}

// untagged returns the fields of a type, and of all types of ours in it, whose name in JSON is
// that in Go for want of a tag.
func untagged(t reflect.Type, seen map[reflect.Type]bool) (out []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return untagged(t.Elem(), seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[t] || !strings.HasPrefix(t.PkgPath(), "github.com/keyward/") {
		return nil
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name == "" && !f.Anonymous {
			out = append(out, t.Name()+"."+f.Name)
		}
		if f.IsExported() && name != "-" {
			out = append(out, untagged(f.Type, seen)...)
		}
	}
	return out
}
