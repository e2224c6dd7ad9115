package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"ocid/impl/config"
)

const (
	fileFlag   = "config"
	dropInFlag = "config-dir"
)

// configFlags are the flags that choose and override the configuration.
type configFlags struct {
	file, dropIn string
}

// register defines, for a command and its subcommands, --config and --config-dir, and one flag for each option
// that declares one.
func (f *configFlags) register(cmd *cobra.Command) {
	fs := cmd.PersistentFlags()
	fs.StringVar(&f.file, fileFlag, config.DefaultFile, "configuration `file`; empty for none")
	fs.StringVar(&f.dropIn, dropInFlag, config.DefaultDropInDir, "`directory` of drop-in *.toml files; empty for none")
	for _, o := range config.Options() {
		if o.Flag != "" {
			doc, _, _ := strings.Cut(o.Doc, "\n")
			fs.String(o.Flag, o.Default, doc)
			complete(cmd, o)
		}
	}
	fs.SortFlags = false
}

// complete tells shells what the values of an option's flag may be.
func complete(cmd *cobra.Command, o config.Option) {
	switch words := strings.Split(o.Check, "|"); {
	case len(words) > 1:
		_ = cmd.RegisterFlagCompletionFunc(o.Flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	case strings.TrimSuffix(o.Check, "?") == "address":
		_ = cmd.RegisterFlagCompletionFunc(o.Flag, cobra.NoFileCompletions)
	}
}

// load reads the configuration that the parsed flags ask for.
func (f *configFlags) load(cmd *cobra.Command) (*config.Config, error) {
	return config.Load(f.sources(cmd))
}

// sources is what the parsed flags ask for. A file or a directory that was
// named on the command line has to exist.
func (f *configFlags) sources(cmd *cobra.Command) config.Sources {
	fs := cmd.Flags()
	src := config.Sources{
		File: f.file, FileRequired: fs.Changed(fileFlag),
		DropInDir: f.dropIn, DropInRequired: fs.Changed(dropInFlag),
	}
	for _, o := range config.Options() {
		if o.Flag != "" && fs.Changed(o.Flag) {
			value := fs.Lookup(o.Flag).Value.String()
			src.Overrides = append(src.Overrides, config.Override{Name: "--" + o.Flag, Key: o.Key, Value: value})
		}
	}
	return src
}
