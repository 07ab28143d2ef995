package sdk

// Errno is what a function of taubyte/sdk returns. The numbers are those that guests were compiled with.
type Errno = uint32

// Errors of functions that there are, in the order of the numbers.
const (
	OK                   Errno = 0
	ErrEventNotFound     Errno = 1
	ErrBufferTooSmall    Errno = 2
	ErrMemory            Errno = 3 // a pointer to where the guest has no memory; also a request that there is not
	ErrWrite             Errno = 5
	ErrReadBody          Errno = 6
	ErrEOF               Errno = 8
	ErrClientNotFound    Errno = 10
	ErrParseURL          Errno = 11
	ErrRequestFailed     Errno = 13
	ErrInvalidMethod     Errno = 14
	ErrNewRequest        Errno = 15
	ErrHeaderNotFound    Errno = 16
	ErrWriteBody         Errno = 17
	ErrZeroSize          Errno = 50
	ErrResolverNotFound  Errno = 101
	ErrLookupTXT         Errno = 102
	ErrLookupAddress     Errno = 103
	ErrLookupCNAME       Errno = 104
	ErrLookupMX          Errno = 105
	ErrResponseNotCached Errno = 107
	ErrRandom            Errno = 110
	ErrViewNotFound      Errno = 111
	ErrInvalidBool       Errno = 114
	ErrFifoNotFound      Errno = 115
)

// Errors of what there is not yet, which guests that use it know how to take.
const (
	ErrSubscribe       Errno = 20
	ErrPublish         Errno = 21
	ErrDatabaseCreate  Errno = 22
	ErrDatabase        Errno = 25
	ErrWebSocketURL    Errno = 38
	ErrCommandCreate   Errno = 42
	ErrCommandNotFound Errno = 44
	ErrListen          Errno = 48
	ErrEthereumClient  Errno = 51
	ErrEthereumMethod  Errno = 68
	ErrStorage         Errno = 92
	ErrNewContent      Errno = 94
	ErrContent         Errno = 96
	ErrDiscover        Errno = 117
)
