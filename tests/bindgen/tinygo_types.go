//go:build ignore

// Checks Go files as TinyGo would before it compiles them: with its sizes, and its rule for what can be imported.
//
// Run with one argument a package, the imported ones first: file.go=path
package main

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"strings"
)

// Source: TinyGo, compiler/sizes.go; on wasm32 addresses have 4 bytes, and a uint64 is aligned to 8.
var sizes = &types.StdSizes{WordSize: 4, MaxAlign: 8}

type known struct {
	packages map[string]*types.Package
	others   types.Importer
}

func (k known) Import(path string) (*types.Package, error) {
	if found := k.packages[path]; found != nil {
		return found, nil
	}
	return k.others.Import(path)
}

func main() {
	failed := false
	report := func(where token.Position, what string) {
		failed = true
		fmt.Printf("%s: %s\n", where, what)
	}
	files := token.NewFileSet()
	imports := known{map[string]*types.Package{}, importer.ForCompiler(files, "source", nil)}
	for _, argument := range os.Args[1:] {
		name, path, _ := strings.Cut(argument, "=")
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		config := types.Config{
			Sizes:    sizes,
			Importer: imports,
			Error: func(err error) {
				failed = true
				fmt.Println(err)
			},
		}
		info := &types.Info{Defs: map[*ast.Ident]types.Object{}}
		imports.packages[path], _ = config.Check(path, files, []*ast.File{file}, info)
		for _, each := range file.Decls {
			function, ok := each.(*ast.FuncDecl)
			if !ok || !imported(function) {
				continue
			}
			signature := info.Defs[function.Name].Type().(*types.Signature)
			if signature.Results().Len() > 1 {
				report(files.Position(function.Pos()), "more than one result")
			}
			for _, values := range []*types.Tuple{signature.Params(), signature.Results()} {
				for index := range values.Len() {
					if type_ := values.At(index).Type(); !passes(type_) {
						report(files.Position(function.Pos()), fmt.Sprintf("%s cannot be passed", type_))
					}
				}
			}
		}
	}
	if failed {
		os.Exit(1)
	}
}

func imported(function *ast.FuncDecl) bool {
	if function.Doc == nil {
		return false
	}
	for _, each := range function.Doc.List {
		if strings.HasPrefix(each.Text, "//go:wasmimport ") {
			return true
		}
	}
	return false
}

// Source: TinyGo, compiler/symbol.go, isValidWasmType; narrowed to what Go itself takes too.
func passes(type_ types.Type) bool {
	basic, ok := type_.Underlying().(*types.Basic)
	if !ok {
		return false
	}
	switch basic.Kind() {
	case types.Int32, types.Uint32, types.Int64, types.Uint64, types.Float32, types.Float64, types.UnsafePointer:
		return true
	}
	return false
}
