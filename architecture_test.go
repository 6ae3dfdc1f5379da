// Package slowpath_test holds the tree to its own architecture: which folder
// may import which, where unsafe and assembly may be, and that every exported
// name says what it is.
package slowpath_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mayImport has, for each folder, the folders of this module that its packages
// may import: the table of ARCHITECTURE.md. A folder may always import its own
// sub-folders.
var mayImport = readLayers()

// A row of the table, and a folder in its first column.
var (
	layerRow  = regexp.MustCompile("(?m)^\\| (`[^|]+`) \\| [^|]+ \\| ([^|`]+) \\|$")
	layerName = regexp.MustCompile("`([^`]+)`")
)

func readLayers() map[string][]string {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		panic(err)
	}
	layers := map[string][]string{}
	for _, row := range layerRow.FindAllStringSubmatch(string(text), -1) {
		var below []string
		switch row[2] {
		case "nothing":
		case "all":
			below = []string{"*"}
		default:
			below = strings.Split(row[2], ", ")
		}
		for _, name := range layerName.FindAllStringSubmatch(row[1], -1) {
			layers[name[1]] = below
		}
	}
	return layers
}

// TestLayersAreFolders: a row whose folder is gone, or that allows an import of
// none, says nothing.
func TestLayersAreFolders(t *testing.T) {
	if len(mayImport) < 20 {
		t.Fatalf("ARCHITECTURE.md has %d layers: the table is not read", len(mayImport))
	}
	for layer, below := range mayImport {
		for _, folder := range append([]string{layer}, below...) {
			if info, err := os.Stat(folder); folder != "*" && (err != nil || !info.IsDir()) {
				t.Errorf("the row of %s names %s, which is no folder", layer, folder)
			}
		}
	}
	for _, s := range sources(t) {
		if folder := s.folder(); folder != "." && layerOf(folder) == "" {
			t.Errorf("%s is in no layer", s.path)
		}
	}
}

// unsafeFolders may use unsafe anywhere; others in files named *_unsafe.go.
var unsafeFolders = []string{"boot", "arch", "goos", "mm", "cmd/kernel"}

// assemblyFolders may have assembly.
var assemblyFolders = []string{"boot", "arch"}

// source is one Go file of the tree.
type source struct {
	path string // from the top
	file *ast.File
}

func (s source) folder() string { return filepath.ToSlash(filepath.Dir(s.path)) }

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "bin" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".s") && !within(filepath.ToSlash(filepath.Dir(path)), assemblyFolders) {
			t.Errorf("%s: assembly belongs into %v", path, assemblyFolders)
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{path, f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d files found: the test must run at the top of the tree", len(all))
	}
	return all
}

func within(folder string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool {
		return f == "*" || folder == f || strings.HasPrefix(folder, f+"/")
	})
}

// layerOf returns the longest key of mayImport that the folder is in.
func layerOf(folder string) string {
	best := ""
	for layer := range mayImport {
		if within(folder, []string{layer}) && len(layer) > len(best) {
			best = layer
		}
	}
	return best
}

// imports returns the folders of this module that a file imports.
func (s source) imports() []string {
	var folders []string
	for _, i := range s.file.Imports {
		if folder, ok := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), "slowpath/"); ok {
			folders = append(folders, folder)
		}
	}
	return folders
}

// badImport reports an import that goes up or across.
func badImport(from, to string) bool {
	layer := layerOf(from)
	if layer == "" {
		return true
	}
	if within(to, []string{layer}) && layerOf(to) == layer {
		return false
	}
	return !within(to, mayImport[layer])
}

func TestImportsGoDown(t *testing.T) {
	for _, s := range sources(t) {
		for _, to := range s.imports() {
			if badImport(s.folder(), to) {
				t.Errorf("%s imports slowpath/%s, which is not below it", s.path, to)
			}
		}
	}
}

func TestABadImportIsSeen(t *testing.T) {
	for _, c := range []struct {
		from, to string
		bad      bool
	}{
		{"fs/tmpfs", "fs", false}, {"fs", "fs/tmpfs", false}, {"fs", "mm", false},
		{"fs", "task", true}, {"arch/amd64", "mm", true}, {"mm/frame", "mm", true},
		{"entry", "task", true}, {"qemu", "syscall", true}, {"nowhere", "abi", true},
	} {
		if badImport(c.from, c.to) != c.bad {
			t.Errorf("%s -> %s: bad is %v", c.from, c.to, !c.bad)
		}
	}
}

func TestUnsafeIsConfined(t *testing.T) {
	for _, s := range sources(t) {
		if within(s.folder(), unsafeFolders) || strings.HasSuffix(s.path, "_unsafe.go") {
			continue
		}
		for _, i := range s.file.Imports {
			if i.Path.Value == `"unsafe"` && i.Name == nil {
				t.Errorf("%s imports unsafe; it belongs into %v or a file named *_unsafe.go", s.path, unsafeFolders)
			}
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: %s has no doc comment", s.path, name)
			}
		}
	}
}

// undocumented returns the exported names of a declaration without a comment.
// In a group, the group's comment or the name's own counts.
func undocumented(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		if d.Doc != nil {
			return nil
		}
		var names []string
		for _, spec := range d.Specs {
			names = append(names, undocumentedSpec(spec)...)
		}
		return names
	}
	return nil
}

func undocumentedSpec(spec ast.Spec) []string {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc == nil && s.Comment == nil {
			return []string{s.Name.Name}
		}
	case *ast.ValueSpec:
		if s.Doc == nil && s.Comment == nil && s.Names[0].IsExported() {
			return []string{s.Names[0].Name}
		}
	}
	return nil
}

// exportedReceiver reports whether a function can be reached from outside: it
// is no method, or one of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	exported := false
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && !exported {
			exported = id.IsExported()
			return false
		}
		return true
	})
	return exported
}
