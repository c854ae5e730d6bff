// Train makes the model of package score from labelled lines, and says how good it is.
//
//	go run ./scanner/score/train -data labelled.jsonl.gz -out scanner/score/model.bin
//
// It prints a five-fold cross-validation by repository: what is scored was never seen
// in learning, nor anything else of its repository. With -ablate it prints what each
// family of features buys.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/keyward/keyward/scanner/score"
)

func main() {
	data := flag.String("data", "", "labelled data, as jsonl.gz")
	out := flag.String("out", "", "file to write the model to")
	ablate := flag.Bool("ablate", false, "print what each family of features buys")
	show := flag.Int("show", 0, "print so many rows that are scored worst")
	flag.Parse()
	if err := run(*data, *out, *ablate, *show); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

const foldCount = 5

func run(data, out string, ablate bool, show int) error {
	files, err := load(data)
	if err != nil {
		return err
	}
	rows, found, err := measure(files)
	if err != nil {
		return err
	}
	folds(files, rows, foldCount)
	balance(rows)
	keys := 0
	for _, r := range rows {
		if r.key && !r.made {
			keys++
		}
	}
	fmt.Printf("%d candidates, %d of them keys, in %d files; rules with a format found %d places\n", len(rows)-keys, keys, len(files), len(found))
	odds := cross(rows, usual)
	at := threshold(files, rows, found, odds)
	fmt.Printf("\nfive-fold cross-validation by repository, at the threshold of %.2f:\n", at)
	table(os.Stdout, evaluate(files, with(found, rows, odds, at)))
	fmt.Println("\nthe same, had every candidate been told:")
	table(os.Stdout, evaluate(files, with(found, rows, odds, math.Inf(-1))))
	if show > 0 {
		worst(rows, odds, at, show)
	}
	if ablate {
		ablation(files, rows, found)
	}
	if out == "" {
		return nil
	}
	m := grow(rows, usual)
	m.Start -= float32(at) // so that a score of one half is at the threshold
	return os.WriteFile(out, m.Append(nil), 0o644)
}

// balance makes the many rows of one repository count less than those of many, and a
// value that stands there over and over less than as many values.
func balance(rows []*row) {
	type value struct{ repo, value string }
	same, n := map[value]float64{}, map[string]float64{}
	for _, r := range rows {
		same[value{r.file.repo, r.value}]++
	}
	for _, r := range rows {
		if !r.made {
			r.weight /= math.Sqrt(same[value{r.file.repo, r.value}])
		}
		n[r.file.repo] += r.weight
	}
	for _, r := range rows {
		if c := n[r.file.repo]; c > 0 {
			r.weight *= math.Pow(100/c, 0.3)
		}
	}
}

// cross returns the log odds of each row by a model that was grown without its
// repository.
func cross(rows []*row, g growth) []float64 {
	odds := make([]float64, len(rows))
	for fold := range foldCount {
		var learn []*row
		for _, r := range rows {
			if r.fold != fold {
				learn = append(learn, r)
			}
		}
		m := grow(learn, g)
		for i, r := range rows {
			if r.fold == fold {
				odds[i] = m.Odds(&r.x)
			}
		}
	}
	return odds
}

// with adds the candidates from a threshold on to what rules found.
func with(found []place, rows []*row, odds []float64, at float64) []place {
	out := slices.Clone(found)
	for i, r := range rows {
		if odds[i] > at && !r.made {
			out = append(out, place{r.file, r.line, r.line})
		}
	}
	return out
}

// A step is a threshold, and what is found from there on.
type step struct {
	at        float64
	keys, all figure
}

// steps evaluates the thresholds that are tried.
func steps(files []*file, rows []*row, found []place, odds []float64) (out []step) {
	for at := -2.0; at <= 2.01; at += 0.25 {
		e := evaluate(files, with(found, rows, odds, at))
		out = append(out, step{at, e["KEYS"], e["ALL but identifiers"]})
	}
	return out
}

// threshold returns the log odds from which on a candidate is told: those with the best
// F1 at a precision of keys of 0.95 at least, and a strict one of all kinds of 0.93.
func threshold(files []*file, rows []*row, found []place, odds []float64) float64 {
	best, top := 0.0, 0.0
	fmt.Println("\nthreshold   KEYS precision recall F1     ALL strict recall F1")
	for _, s := range steps(files, rows, found, odds) {
		fmt.Printf("%9.2f        %.3f   %.3f  %.3f     %.3f  %.3f  %.3f\n", s.at, s.keys.precision(), s.keys.recall(), s.keys.f1(), s.all.strict(), s.all.recall(), s.all.f1())
		if f := s.keys.f1() + s.all.f1(); f > top && s.all.strict() >= 0.93 && s.keys.precision() >= 0.95 {
			best, top = s.at, f
		}
	}
	return best
}

// ablation prints what is lost without each family.
func ablation(files []*file, rows []*row, found []place) {
	fmt.Println("\nwithout               KEYS F1   ALL F1   ALL strict")
	for _, fam := range []score.Family{"", score.OfValue, score.OfName, score.OfLine} {
		g := usual
		g.leave = map[int]bool{}
		for i, f := range score.Features {
			g.leave[i] = f.Family == fam
		}
		best := slices.MaxFunc(steps(files, rows, found, cross(rows, g)), func(a, b step) int { return cmp.Compare(a.all.f1(), b.all.f1()) })
		fmt.Printf("%-20s    %.3f    %.3f    %.3f\n", fam, best.keys.f1(), best.all.f1(), best.all.strict())
	}
}

// worst prints the rows that the score is most wrong about.
func worst(rows []*row, odds []float64, at float64, n int) {
	type bad struct {
		r   *row
		off float64
	}
	var list []bad
	for i, r := range rows {
		if r.weight > 0 && !r.made && r.key != (odds[i] > at) {
			list = append(list, bad{r, math.Abs(odds[i] - at)})
		}
	}
	slices.SortStableFunc(list, func(a, b bad) int { return cmp.Compare(b.off, a.off) })
	for _, b := range list[:min(n, len(list))] {
		fmt.Printf("%5.2f key=%-5v %s:%d %.60q\n", b.off, b.r.key, b.r.file.path, b.r.line, b.r.value)
	}
}
