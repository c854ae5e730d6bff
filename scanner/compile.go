package scanner

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
	"sync"

	"github.com/wasilibs/go-re2"
	"github.com/wasilibs/go-re2/experimental"
)

// unbounded is the reach taken for an expression without a greatest length, in bytes.
const unbounded = 4096

// assigned is what may stand between a name and the value assigned to it:
// the rest of the name, closing quotes and brackets, an operator of some
// language or format, opening quotes, an authentication scheme.
const assigned = `[\w.\-]{0,24}` +
	"(?:[\"'`\\])}\\\\]{0,4}[ \\t]{0,8}(?:=>|:=|==|->|\\|\\||[=:,(>]|\\\\t| )[ \\t]{0,8}" +
	`|["'][ \t]{1,4}[Vv]alue[ \t]?[=:][ \t]?)` +
	"[\"'`({\\[\\\\>]{0,4}(?:(?i:bearer|basic|token|ssws)[ \\t]{1,3})?"

// A compiled rule. It is read at its first keyword, and its expressions are compiled
// where the bytes around one fit.
type compiled struct {
	*Rule
	given  *Rule // as it was given: it does not change when the whole of it is loaded
	number int   // among the scanner's rules

	reading sync.Once
	unread  error // why it could not be read
	width   int   // no match is longer
	lead    *lead // what a match begins with, nil if not known
	need    *need // what a match has in it, nil if not known

	once  sync.Once
	err   error
	re    *re2.Regexp
	group int // index of the secret's group
	near  []*re2.Regexp
	paths []*re2.Regexp
}

// read loads the rule and learns of its expression what is known without RE2, which
// takes a millisecond for each.
func (c *compiled) read() error {
	c.reading.Do(func() { c.unread = c.learn() })
	return c.unread
}

func (c *compiled) learn() error {
	if c.Load != nil {
		whole, err := c.Load()
		if err != nil {
			return err
		}
		c.Rule = &whole
	}
	if c.Finder != "" {
		return nil
	}
	c.width = unbounded
	parsed, err := parseRE(c.expression())
	if err != nil {
		return fmt.Errorf("rule %s: %w", c.ID, err)
	}
	if parsed == nil {
		return nil
	}
	c.width = min(widthOf(parsed), unbounded)
	c.need = needOf(parsed)
	if len(c.Keywords) == 1 && !c.Loose {
		c.lead = leadOf(parsed, strings.ToLower(c.Keywords[0]))
	}
	return nil
}

func (c *compiled) compile() error {
	c.once.Do(func() { c.err = c.build() })
	return c.err
}

func (c *compiled) build() error {
	if err := c.read(); err != nil || c.Finder != "" {
		return err
	}
	var err error
	if c.re, err = compileParsed(c.expression()); err != nil {
		return fmt.Errorf("rule %s: %w", c.ID, err)
	}
	c.group = max(c.re.SubexpIndex("secret"), 0)
	if c.group == 0 && c.Loose {
		c.group = c.looseGroup()
	}
	for _, n := range c.Near {
		re, err := compileRE(n.Pattern)
		if err != nil {
			return fmt.Errorf("rule %s: near %s: %w", c.ID, n.Name, err)
		}
		c.near = append(c.near, re)
	}
	for _, p := range c.Paths {
		re, err := compileRE(p)
		if err != nil {
			return fmt.Errorf("rule %s: paths: %w", c.ID, err)
		}
		c.paths = append(c.paths, re)
	}
	return nil
}

func (c *compiled) expression() string {
	if c.Pattern != "" {
		return c.Pattern
	}
	return `(?i:` + c.Name + `)` + assigned + `(?P<secret>` + c.Value + `)`
}

// looseGroup is the group that other scanners take for the secret: the one
// they name, else the only one, else the whole match.
func (c *compiled) looseGroup() int {
	if c.Check.Group > 0 {
		return min(c.Check.Group, c.re.NumSubexp())
	}
	if c.re.NumSubexp() == 1 {
		return 1
	}
	return 0
}

// parseRE parses an expression with Go's parser, which knows the same syntax as RE2, but
// for the number of repetitions: the tree is nil if there are more than Go allows. RE2
// itself writes its complaints to standard error and quotes the expression, which may
// hold a key; it is asked only for what Go understands.
func parseRE(expr string) (*syntax.Regexp, error) {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err == nil {
		return parsed, nil
	}
	var se *syntax.Error
	if errors.As(err, &se) && se.Code != syntax.ErrInvalidRepeatSize {
		return nil, fmt.Errorf("regular expression: %s", se.Code)
	}
	return nil, nil
}

func compileRE(expr string) (*re2.Regexp, error) {
	if _, err := parseRE(expr); err != nil {
		return nil, err
	}
	return compileParsed(expr)
}

// compileParsed compiles an expression that Go understood: for arbitrary bytes where it
// is ASCII, so that one byte of Latin-1 beside a key hides nothing.
func compileParsed(expr string) (*re2.Regexp, error) {
	for i := range len(expr) {
		if expr[i] >= 0x80 {
			return re2.Compile(expr)
		}
	}
	return experimental.CompileLatin1(expr)
}

// widthOf returns the greatest length of a match in bytes, or unbounded and more.
func widthOf(re *syntax.Regexp) int {
	sum, most := 0, 0
	for _, s := range re.Sub {
		w := widthOf(s)
		sum += w
		most = max(most, w)
	}
	switch re.Op {
	case syntax.OpLiteral:
		return len(string(re.Rune))
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpConcat:
		return min(sum, unbounded)
	case syntax.OpAlternate, syntax.OpCapture, syntax.OpQuest:
		return most
	case syntax.OpStar, syntax.OpPlus:
		return unbounded
	case syntax.OpRepeat:
		if re.Max < 0 {
			return unbounded
		}
		return min(re.Max*most, unbounded)
	}
	return 0
}
