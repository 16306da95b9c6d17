package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help implements kong.HelpProvider.
func (c *completionCmd) Help() string {
	return `Examples:

    source <(keywright completion bash)
    keywright completion zsh > "${fpath[1]}/_keywright"
    keywright completion fish > ~/.config/fish/completions/keywright.fish`
}

// Run prints a script that completes the commands and flags of this program. The
// script holds them all, so completing starts no process.
func (c *completionCmd) Run(s *streams, parser *kong.Kong) error {
	var nodes []completionNode
	collect(parser.Model.Node, "", &nodes)
	write := map[string]func(io.Writer, []completionNode) error{"bash": completeBash, "zsh": completeZsh, "fish": completeFish}[c.Shell]
	return write(s.out, nodes)
}

// completionNode is one command: the words that lead to it, and what can follow.
type completionNode struct {
	path  string // "seal add"; "" for the program
	words []completionWord
}

type completionWord struct{ word, help string }

func collect(n *kong.Node, path string, nodes *[]completionNode) {
	node := completionNode{path: path}
	for _, child := range n.Children {
		if !child.Hidden {
			node.words = append(node.words, completionWord{child.Name, child.Help})
		}
	}
	for _, p := range n.Positional {
		for _, v := range p.EnumSlice() {
			if v != "" {
				node.words = append(node.words, completionWord{v, p.Help})
			}
		}
	}
	for _, f := range n.Flags {
		if !f.Hidden {
			node.words = append(node.words, completionWord{"--" + f.Name, f.Help})
		}
	}
	if n.Parent != nil {
		node.words = append(node.words, completionWord{"--help", "Show how it is used."})
	}
	*nodes = append(*nodes, node)
	for _, child := range n.Children {
		if !child.Hidden {
			collect(child, strings.TrimSpace(path+" "+child.Name), nodes)
		}
	}
}

// completeBash finds the longest command the words before the cursor name, and
// offers what may follow it; else file names.
func completeBash(w io.Writer, nodes []completionNode) error {
	var b strings.Builder
	b.WriteString("# bash completion for keywright\n_keywright() {\n  local path= word candidates\n  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case \"$path $word\" in\n")
	for _, n := range nodes[1:] {
		before, last := "", n.path
		if i := strings.LastIndexByte(n.path, ' '); i >= 0 {
			before, last = n.path[:i], n.path[i+1:]
		}
		fmt.Fprintf(&b, "    '%s %s') path='%s' ;;\n", before, last, n.path)
	}
	b.WriteString("    esac\n  done\n  case \"$path\" in\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "  '%s') candidates='%s' ;;\n", n.path, strings.Join(wordsOf(n), " "))
	}
	b.WriteString("  esac\n  COMPREPLY=($(compgen -W \"$candidates\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\ncomplete -o default -F _keywright keywright\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func wordsOf(n completionNode) []string {
	words := make([]string, len(n.words))
	for i, w := range n.words {
		words[i] = w.word
	}
	return words
}

func completeZsh(w io.Writer, nodes []completionNode) error {
	var b strings.Builder
	b.WriteString("#compdef keywright\n_keywright() {\n  local path_= word\n  local -a candidates\n  for word in \"${words[@]:1:$((CURRENT-2))}\"; do\n    case \"$path_ $word\" in\n")
	for _, n := range nodes[1:] {
		before, last := "", n.path
		if i := strings.LastIndexByte(n.path, ' '); i >= 0 {
			before, last = n.path[:i], n.path[i+1:]
		}
		fmt.Fprintf(&b, "    '%s %s') path_='%s' ;;\n", before, last, n.path)
	}
	b.WriteString("    esac\n  done\n  case \"$path_\" in\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "  '%s') candidates=(", n.path)
		for _, c := range n.words {
			fmt.Fprintf(&b, "\n    %s", quote(strings.ReplaceAll(c.word, ":", `\:`)+":"+firstSentence(c.help)))
		}
		b.WriteString(") ;;\n")
	}
	b.WriteString("  esac\n  _describe keywright candidates || _files\n}\nif [ \"$funcstack[1]\" = _keywright ]; then _keywright \"$@\"; else compdef _keywright keywright; fi\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func completeFish(w io.Writer, nodes []completionNode) error {
	var b strings.Builder
	b.WriteString("# fish completion for keywright\ncomplete -c keywright -e\n")
	for _, n := range nodes {
		condition := "__fish_use_subcommand"
		if n.path != "" {
			var conditions []string
			for word := range strings.FieldsSeq(n.path) {
				conditions = append(conditions, "__fish_seen_subcommand_from "+word)
			}
			condition = strings.Join(conditions, "; and ")
		}
		for _, c := range n.words {
			kind := "-f -a " + c.word
			if long, ok := strings.CutPrefix(c.word, "--"); ok {
				kind = "-l " + long
			}
			fmt.Fprintf(&b, "complete -c keywright -n %s %s -d %s\n", quote(condition), kind, quote(firstSentence(c.help)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// firstSentence keeps descriptions to one line of a menu.
func firstSentence(help string) string {
	if before, _, ok := strings.Cut(help, ". "); ok {
		return before
	}
	return strings.TrimSuffix(help, ".")
}
