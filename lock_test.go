package slowpath_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// lockExceptions are the functions that may hold a lock without a deferred release
// while they do something that can panic, with the reason.
var lockExceptions = map[string]string{
	"entry/visit.go: End":     "the index is masked by the ring's size, and the function is on the path to user mode whose instructions are counted",
	"task/futex.go: lockBoth": "it returns the function that releases the locks, which the callers defer; comparisons are all it does",
	"guard/guard.go: Lock":    "it returns the held lock",
	"guard/guard.go: RLock":   "it returns the held lock",
}

// TestPanicsReleaseLocks: a panic in a system call ends its process only. A lock that it
// does not release would stop everybody else. So a function that takes a lock defers its
// release, or does nothing until the release that can panic.
func TestPanicsReleaseLocks(t *testing.T) {
	unused := map[string]bool{}
	for name := range lockExceptions {
		unused[name] = true
	}
	for _, found := range unprotectedLocks(t) {
		if _, allowed := lockExceptions[found.name]; allowed {
			delete(unused, found.name)
			continue
		}
		t.Errorf("%s: %s takes a lock and %s before it releases it; defer the release, or use guard.Lock", found.position, found.name, found.what)
	}
	for name := range unused {
		t.Errorf("the exception %q is not needed", name)
	}
}

// unprotected is a lock that a panic would leave held.
type unprotected struct{ position, name, what string }

// unprotectedLocks looks at the kernel's packages.
func unprotectedLocks(t *testing.T) (found []unprotected) {
	t.Helper()
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (path == "qemu" || path == "bin" || path == "cmd/slowpath" || path == ".git") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			for _, u := range locksOf(f.Body) {
				found = append(found, unprotected{set.Position(u.at).String(), path + ": " + f.Name.Name, u.what})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

type risk struct {
	at   token.Pos
	what string
}

// locksOf returns the locks in a function that a panic would leave held.
func locksOf(body *ast.BlockStmt) (found []risk) {
	ast.Inspect(body, func(n ast.Node) bool {
		var list []ast.Stmt
		switch n := n.(type) {
		case *ast.BlockStmt:
			list = n.List
		case *ast.CaseClause:
			list = n.Body
		case *ast.CommClause:
			list = n.Body
		}
		for i, s := range list {
			if lock := lockOf(s); lock != "" {
				if what := riskAfter(lock, list[i+1:]); what != "" {
					found = append(found, risk{s.Pos(), what})
				}
			}
		}
		return true
	})
	return found
}

// lockOf returns the lock that a statement takes, as text, or "".
func lockOf(s ast.Stmt) string {
	call, selector := methodCall(s)
	if call == nil || len(call.Args) > 0 || selector.Sel.Name != "Lock" && selector.Sel.Name != "RLock" {
		return ""
	}
	return types.ExprString(selector.X)
}

func methodCall(s ast.Stmt) (*ast.CallExpr, *ast.SelectorExpr) {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return nil, nil
	}
	call, ok := e.X.(*ast.CallExpr)
	if !ok {
		return nil, nil
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil, nil
	}
	return call, selector
}

// riskAfter returns what may panic in the statements after one that takes a lock, up to
// the statement that releases it, or "".
func riskAfter(lock string, rest []ast.Stmt) string {
	for _, s := range rest {
		if d, ok := s.(*ast.DeferStmt); ok && releases(d.Call, lock) {
			return ""
		}
		if call, _ := methodCall(s); call != nil && releases(call, lock) {
			return ""
		}
		if what := mayPanic(s); what != "" {
			return what
		}
	}
	return "does not release it here"
}

// releases reports whether a call releases a lock: by Unlock or RUnlock, or by a function
// whose name ends in unlock.
func releases(call *ast.CallExpr, lock string) bool {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		name := strings.ToLower(f.Sel.Name)
		return strings.HasSuffix(name, "unlock") && (types.ExprString(f.X) == lock || name != "unlock" && name != "runlock" || strings.HasPrefix(lock, types.ExprString(f.X)+"."))
	case *ast.FuncLit:
		return strings.Contains(types.ExprString(f), "nlock")
	}
	return false
}

// harmlessCalls are functions and methods that do not panic.
var harmlessCalls = map[string]bool{
	"len": true, "cap": true, "append": true, "delete": true, "min": true, "max": true, "new": true, "clear": true,
	"Load": true, "Store": true, "Add": true, "Swap": true, "CompareAndSwap": true, "Unlock": true, "RUnlock": true, "IncRef": true,
}

// mayPanic returns what in a statement can panic, or "". Field accesses are taken to be
// safe: the structure that has the lock exists.
func mayPanic(s ast.Stmt) (what string) {
	ast.Inspect(s, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := ""
			switch f := n.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			if !harmlessCalls[name] && !isConversion(n) {
				what = "calls " + types.ExprString(n.Fun)
			}
		case *ast.IndexExpr, *ast.SliceExpr:
			what = fmt.Sprintf("evaluates %s", types.ExprString(n.(ast.Expr)))
		case *ast.SendStmt:
			what = "sends to a channel"
		}
		return what == ""
	})
	return what
}

// isConversion reports whether a call is the conversion to a numeric type.
func isConversion(c *ast.CallExpr) bool {
	f, ok := c.Fun.(*ast.Ident)
	if !ok {
		return false
	}
	_, ok = types.Universe.Lookup(f.Name).(*types.TypeName)
	return ok
}

// TestUnprotectedLocksAreFound checks the check.
func TestUnprotectedLocksAreFound(t *testing.T) {
	for source, want := range map[string]bool{
		"m.Lock(); defer m.Unlock(); f()":             false,
		"m.Lock(); f(); m.Unlock()":                   true,
		"m.Lock(); x = y; n := len(z); m.Unlock()":    false,
		"m.Lock(); x = y[1]; m.Unlock()":              true,
		"m.Lock(); if a { m.Unlock(); return }":       true,
		"m.RLock(); g.run(); m.RUnlock()":             true,
		"for { s.mu.Lock(); s.run(); s.mu.Unlock() }": true,
		"m.Lock(); defer as.flushAndUnlock(); f()":    false,
		"m.Lock(); k.Lock(); defer k.Unlock(); f()":   true,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { "+source+" }", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(locksOf(file.Decls[0].(*ast.FuncDecl).Body)) > 0; got != want {
			t.Errorf("%s: found %v, want %v", source, got, want)
		}
	}
}
