package sdk

//go:wasmimport taubyte/sdk selfProjectSize
func projectSize(size *uint32) uint32

//go:wasmimport taubyte/sdk selfProject
func project(to *byte) uint32

//go:wasmimport taubyte/sdk selfApplicationSize
func applicationSize(size *uint32) uint32

//go:wasmimport taubyte/sdk selfApplication
func application(to *byte) uint32

//go:wasmimport taubyte/sdk selfIdSize
func idSize(size *uint32) uint32

//go:wasmimport taubyte/sdk selfId
func id(to *byte) uint32

//go:wasmimport taubyte/sdk selfBranchSize
func branchSize(size *uint32) uint32

//go:wasmimport taubyte/sdk selfBranch
func branch(to *byte) uint32

//go:wasmimport taubyte/sdk selfCommitSize
func commitSize(size *uint32) uint32

//go:wasmimport taubyte/sdk selfCommit
func commit(to *byte) uint32

// Self is what the function is, while it answers a request.
func Self() Itself {
	return Itself{
		Project: told(projectSize, project), Application: told(applicationSize, application), Function: told(idSize, id),
		Branch: told(branchSize, branch), Commit: told(commitSize, commit),
	}
}

func told(length func(*uint32) uint32, value func(*byte) uint32) string {
	var size uint32
	if length(&size) != 0 || size == 0 {
		return ""
	}
	text := make([]byte, size)
	if value(&text[0]) != 0 {
		return ""
	}
	return string(text)
}
