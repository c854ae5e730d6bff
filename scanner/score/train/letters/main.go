// Letters counts which three letters follow each other in the words of source code, and
// writes the table of package score.
//
//	go run ./scanner/score/train/letters "$(go env GOROOT)/src" > scanner/score/letters.txt
package main

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/keyward/keyward/scanner/score"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "letters:", err)
		os.Exit(1)
	}
}

func run(dirs []string) error {
	var count [score.AllTriples]int
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.Contains(path, "testdata") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			seen := map[string]bool{}
			for _, w := range words(string(text)) {
				if !seen[w] {
					seen[w] = true
					add(&count, w)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	var out strings.Builder
	for _, n := range count {
		out.WriteByte('0' + byte(min(9, int(math.Round(math.Log2(float64(n)+1)*0.75)))))
	}
	_, err := fmt.Print(out.String())
	return err
}

// words returns the runs of three letters and more.
func words(text string) (out []string) {
	for i := 0; i < len(text); {
		if score.Letter(text[i]) == 0 {
			i++
			continue
		}
		end := score.RunEnd(text, i)
		if end-i > 2 {
			out = append(out, strings.ToLower(text[i:end]))
		}
		i = end
	}
	return out
}

func add(count *[score.AllTriples]int, word string) {
	a, b := 0, 0
	for i := 0; i <= len(word); i++ {
		c := 0
		if i < len(word) {
			c = score.Letter(word[i])
		}
		if i > 0 {
			count[score.Triple(a, b, c)]++
		}
		a, b = b, c
	}
}
