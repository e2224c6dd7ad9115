// Command layers checks which package imports which against layers.txt, in
// the manner of the dependency test of Go's own standard library. It prints
// every violation and exits 1 if there is one; it changes nothing.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

//go:embed layers.txt
var layersText string

func main() {
	bad, err := run(layersText)
	if err != nil {
		fmt.Fprintln(os.Stderr, "layers:", err)
		os.Exit(2)
	}
	for _, b := range bad {
		fmt.Println("layers: " + b)
	}
	if len(bad) > 0 {
		os.Exit(1)
	}
}

// run checks the module in the current directory.
func run(text string) ([]string, error) {
	module, err := goList("-m")
	if err != nil {
		return nil, err
	}
	out, err := goList("-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	if err != nil {
		return nil, err
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("output of go list: %w", err)
		}
		pkgs = append(pkgs, p)
	}
	return check(strings.TrimSpace(string(module)), text, pkgs)
}

func goList(args ...string) ([]byte, error) {
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}
