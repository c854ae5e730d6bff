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
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "letters:", err)
		os.Exit(1)
	}
}

func run(dirs []string) error {
	var count [27 * 27 * 27]int
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

// words splits a text into words of one case, a capital at the beginning allowed.
func words(text string) (out []string) {
	start := -1
	for i := 0; i <= len(text); i++ {
		if i < len(text) && start >= 0 && goesOn(text, start, i) {
			continue
		}
		if start >= 0 && i-start > 2 {
			out = append(out, strings.ToLower(text[start:i]))
		}
		start = -1
		if i < len(text) && letter(text[i]) {
			start = i
		}
	}
	return out
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func goesOn(t string, i, j int) bool {
	c, p := t[j], t[j-1]
	switch {
	case 'a' <= c && c <= 'z':
		return 'a' <= p && p <= 'z' || j == i+1
	case 'A' <= c && c <= 'Z':
		return 'A' <= p && p <= 'Z'
	}
	return false
}

func add(count *[27 * 27 * 27]int, word string) {
	a, b := 0, 0
	for i := 0; i <= len(word); i++ {
		c := 0
		if i < len(word) {
			c = int(word[i]-'a') + 1
		}
		if i > 0 {
			count[(a*27+b)*27+c]++
		}
		a, b = b, c
	}
}
