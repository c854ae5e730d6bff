package scan

import (
	"errors"

	"github.com/keyward/keyward/scanner"
)

// pushBudget bounds the scan of a push or a pull request. Many may run at once, and
// anybody who can open a pull request can start one. The whole history of 100,000 commits
// fits.
func pushBudget() scanner.Budget {
	return scanner.Budget{Commits: 500_000, Changes: 1_000_000, OneCommit: 500_000, PathBytes: 64 << 20, Refs: 10_000, Findings: 20_000}
}

// historyBudget bounds the scan of a whole repository.
func historyBudget() scanner.Budget {
	return scanner.Budget{Commits: 3_000_000, Changes: 15_000_000, OneCommit: 500_000, PathBytes: 256 << 20, Refs: 500_000, Findings: 20_000}
}

// overBudget is the error of a scan that exceeds its budget. It is [ErrTooLarge], so that
// it is final, and keeps the [*scanner.BudgetError].
type overBudget struct{ error }

func (e overBudget) Unwrap() error { return e.error }

func (e overBudget) Is(target error) bool { return target == ErrTooLarge }

// final marks an error that trying again does not change.
func final(err error) error {
	var over *scanner.BudgetError
	if errors.As(err, &over) {
		return overBudget{err}
	}
	return err
}
