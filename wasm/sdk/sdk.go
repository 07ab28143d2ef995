// Package sdk is the interface taubyte/sdk, against which guests of others were compiled: names, signatures, numbers of errors.
package sdk
