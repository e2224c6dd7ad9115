package config_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"

	"ocid/impl/config"
)

var generate = flag.Bool("generate", false, "write docs/CONFIGURATION.md")

const document = "../../docs/CONFIGURATION.md"

var page = template.Must(template.New("").Funcs(template.FuncMap{"cell": cell}).Parse(`<!-- Written by "go test ./impl/config -generate" from the declarations in impl/config. Change those. -->

# Configuration of ocid

ocid runs without any configuration. What it reads, the later one wins, key by
key:

1. {{.File}}, TOML; --config names another one;
2. the files *.toml in {{.Dir}}, in the order of their names; --config-dir names
   another directory;
3. flags of the command line.

An unknown key or a bad value is an error that names file, line and key, and the
daemon does not start. "ocid config" prints what is in force, as a file that can
be read again. "ocid check" tells what would be used on this machine, and what
is wrong with it.

The daemon reads its configuration again on SIGHUP and when one of the files
changes. Options marked *live* take effect then; the log names the others that
have changed: they take a restart, which containers live through. A file with an
error changes nothing. registries.conf and its drop-ins are read again with it;
policy.json, credentials and CNI configurations count at each use.

| Option | Default | Flag | What it is |
|---|---|---|---|
{{range .Options}}| ` + "`{{.Key}}`" + `{{if .Live}} *live*{{end}} | {{with .Default}}` + "`{{cell .}}`" + `{{end}} | {{with .Flag}}` + "`--{{.}}`" + `{{end}} | {{cell .Doc}} |
{{end}}`))

func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}

// The page in docs/ is made of the declarations.
func TestDocument(t *testing.T) {
	var want bytes.Buffer
	require.NoError(t, page.Execute(&want, map[string]any{"File": config.DefaultFile, "Dir": config.DefaultDropInDir, "Options": config.Options()}))
	if *generate {
		require.NoError(t, os.WriteFile(document, want.Bytes(), 0o644))
	}
	have, err := os.ReadFile(document)
	require.NoError(t, err)
	require.Equal(t, want.String(), string(have), fmt.Sprintf("%s is not what the declarations say: go test ./impl/config -generate", document))
}
