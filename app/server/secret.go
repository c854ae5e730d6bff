package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mvdan.cc/sh/v3/syntax"
)

// a source says where a secret comes from: a value, a file or a command. name is the
// variable of the value.
type source struct {
	name                 string
	value, file, command *string
}

func (c *Config) pepperSource() source {
	return source{"KEYWARD_PEPPER", &c.Pepper, &c.PepperFile, &c.PepperCommand}
}

func (c *Config) oldPeppersSource() source {
	return source{"KEYWARD_OLD_PEPPERS", &c.OldPeppers, &c.OldPeppersFile, &c.OldPeppersCommand}
}

func (c *Config) keySource() source {
	return source{"KEYWARD_GITHUB_APP_PRIVATE_KEY", &c.privateKey, &c.PrivateKeyFile, &c.PrivateKeyCommand}
}

func (c *Config) sources() []source {
	return []source{c.keySource(), c.pepperSource(), c.oldPeppersSource()}
}

// keep writes to a configuration file, under a name, where the secret comes from, if it comes
// from anywhere.
func (s source) keep(out map[string]any, name string) error {
	switch {
	case *s.file != "":
		file, err := filepath.Abs(*s.file)
		if err != nil {
			return err
		}
		out[name+"-file"] = file
	case *s.command != "":
		out[name+"-command"] = *s.command
	case *s.value != "":
		out[name] = *s.value
	}
	return nil
}

// variables are the three variables of the source.
func (s source) variables() []string { return []string{s.name, s.name + "_FILE", s.name + "_COMMAND"} }

// check returns an error if more than one way is given.
func (s source) check() error {
	var given []string
	for i, v := range []*string{s.value, s.file, s.command} {
		if *v != "" {
			given = append(given, s.variables()[i])
		}
	}
	if len(given) > 1 {
		return fmt.Errorf("%s: set only one of them", strings.Join(given, " and "))
	}
	return nil
}

// read returns the secret, without the newline at its end; "" if no way is given.
func (s source) read(ctx context.Context) (string, error) {
	switch {
	case *s.file != "":
		data, err := readSecret(*s.file)
		if err != nil {
			return "", fmt.Errorf("%s_FILE: %w", s.name, err)
		}
		return filled(s.name+"_FILE", data)
	case *s.command != "":
		data, err := runSecret(ctx, *s.command)
		if err != nil {
			return "", fmt.Errorf("%s_COMMAND: %w", s.name, err)
		}
		return filled(s.name+"_COMMAND", data)
	}
	return *s.value, nil
}

func filled(name string, data []byte) (string, error) {
	if data = bytes.TrimSpace(data); len(data) == 0 {
		return "", fmt.Errorf("%s: the secret is empty", name)
	}
	return string(data), nil
}

// maxSecret bounds a secret, secretTimeout the command that prints it.
const (
	maxSecret     = 64 << 10
	secretTimeout = 10 * time.Second
)

// readSecret reads a file that only its owner can read.
func readSecret(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := private(name, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(data) > maxSecret {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxSecret)
	}
	return data, err
}

// private returns an error if others than the owner of a file can read or change it.
//
// One case is allowed: root owns the file and a group may read it. Kubernetes mounts a
// Secret like that (root, the pod's fsGroup, mode 0440), and so does systemd a credential;
// a process that is not root could not read it in another way.
func private(name string, info fs.FileInfo) error {
	mode := info.Mode().Perm()
	owner, ok := info.Sys().(*syscall.Stat_t)
	rootOwns := ok && owner.Uid == 0
	if mode&0o007 == 0 && mode&0o020 == 0 && (mode&0o040 == 0 || rootOwns) {
		return nil
	}
	return fmt.Errorf("%s can be read or changed by others (mode %04o): run chmod 600 %s", name, mode, name)
}

// runSecret runs a command and returns what it prints. What it writes to its standard
// error is not shown: it may hold the secret, or one that leads to it.
func runSecret(ctx context.Context, command string) ([]byte, error) {
	args, err := splitWords(command)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	// Its children end with it: one that keeps the pipe open would be waited for.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out := &bounded{stop: cancel}
	cmd.Stdout = out
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case out.full:
		return nil, fmt.Errorf("%s printed more than %d bytes", args[0], maxSecret)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("%s did not end within %s", args[0], secretTimeout)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s was interrupted", args[0])
	case errors.As(err, &exit):
		return nil, fmt.Errorf("%s failed (%s). Its messages are not shown, because they may contain secrets: run it by hand", args[0], exit)
	case err != nil:
		return nil, fmt.Errorf("run %s: %w", args[0], err)
	}
	return out.b.Bytes(), nil
}

// bounded is a buffer that stops the command once it is full.
type bounded struct {
	b    bytes.Buffer
	full bool
	stop func()
}

func (w *bounded) Write(p []byte) (int, error) {
	if w.b.Len()+len(p) > maxSecret {
		w.full = true
		w.stop()
		return 0, errors.New("too much output")
	}
	return w.b.Write(p)
}

// errWords says what a command may consist of.
var errWords = errors.New("invalid command: expected a program and its arguments, quoted if need be. It runs without a shell: no variables, pipes or substitutions")

// splitWords splits a command as a shell would, and expands nothing.
func splitWords(command string) (args []string, err error) {
	for word, err := range syntax.NewParser().WordsSeq(strings.NewReader(command)) {
		if err != nil {
			return nil, errWords
		}
		var b strings.Builder
		if err := literal(&b, word.Parts, false); err != nil {
			return nil, err
		}
		args = append(args, b.String())
	}
	if len(args) == 0 || args[0] == "" {
		return nil, errWords
	}
	return args, nil
}

// unescapeQuoted takes the backslashes out of a text in double quotes.
var unescapeQuoted = strings.NewReplacer("\\\n", "", `\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`")

// literal writes the text of parts of a word without its quotes.
func literal(b *strings.Builder, parts []syntax.WordPart, quoted bool) error {
	for _, part := range parts {
		switch p := part.(type) {
		case *syntax.Lit:
			if quoted {
				b.WriteString(unescapeQuoted.Replace(p.Value))
				continue
			}
			for i := 0; i < len(p.Value); i++ {
				if p.Value[i] == '\\' && i+1 < len(p.Value) {
					i++
				}
				b.WriteByte(p.Value[i])
			}
		case *syntax.SglQuoted:
			if p.Dollar {
				return errWords
			}
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			if p.Dollar || quoted {
				return errWords
			}
			if err := literal(b, p.Parts, true); err != nil {
				return err
			}
		default:
			return errWords
		}
	}
	return nil
}
