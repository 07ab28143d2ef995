package sdk

import "strings"

// absent are functions of what there is not yet, by what that is: their types and the error that each returns. A module that imports them starts, as
// others of its functions may not need them; whoever calls one is told what his SDK would tell him if it had failed, and his log says why.
//
// Whoever builds one of these takes its lines away and adds its functions in a file of its own.
var absent = []struct {
	what      string
	functions string // name:types, those of one error
	error     Errno
}{
	// Globals are values that all instances everywhere agree on. To keep them in a node would look like that until two nodes answer differently.
	{"globals", "getGlobalValueSize:iiiii getGlobalValue:iiiii getOrCreateGlobalValueSize:iiiii putGlobalValue:iiiiiii", ErrDatabaseCreate},
	{"databases", "newDatabase:iii", ErrDatabaseCreate},
	{"databases", "databaseGet:iiii databaseGetSize:iiii databasePut:iiiii databaseClose:i databaseDelete:iii databaseList:iiii databaseListSize:iiii", ErrDatabase},
	{"storages", "storageNew:iii storageGet:iii storageAddFile:iiiiiii storageGetFile:iiiii storageReadFile:iiiii storageCloseFile:ii storageDeleteFile:iiiii " +
		"storageListVersionsSize:iiii storageListVersions:iiii storageUsedSize:ii storageUsed:ii storageCapacitySize:ii storageCapacity:ii storageCid:iiii " +
		"storageCurrentVersionSize:iiii storageCurrentVersion:iii storageListFilesSize:ii storageListFiles:ii", ErrStorage},
	{"storages", "storageNewContent:i storageOpenCid:ii", ErrNewContent},
	{"storages", "contentCloseFile:i contentFileCid:ii contentReadFile:iiii contentWriteFile:iiii contentPushFile:ii contentSeekFile:ilii", ErrContent},
	{"messages", "getMessageData:ii getMessageDataSize:ii getMessageChannel:ii getMessageChannelSize:ii", ErrEventNotFound},
	{"messages", "setSubscriptionChannel:ii", ErrSubscribe},
	{"messages", "publishToChannel:iiii", ErrPublish},
	{"messages", "getWebSocketURLSize:iii getWebSocketURL:iii", ErrWebSocketURL},
	{"calls between peers", "getP2PEventData:ii getP2PEventDataSize:ii getP2PEventCommand:ii getP2PEventCommandSize:ii getP2PEventFrom:ii getP2PEventFromSize:ii getP2PEventTo:ii " +
		"getP2PEventToSize:ii getP2PEventProtocol:ii getP2PEventProtocolSize:ii writeP2PResponse:iii", ErrEventNotFound},
	{"calls between peers", "newCommand:iiiii", ErrCommandCreate},
	{"calls between peers", "sendCommand:iiii sendCommandTo:iiiii readCommandResponse:iii", ErrCommandNotFound},
	{"calls between peers", "listenToProtocolSize:iii listenToProtocol:iiii", ErrListen},
	{"calls between peers", "discoverPeersSize:iiii discoverPeers:ii", ErrDiscover},
	{"clients of IPFS", "newIpfsClient:i ipfsNewContent:ii ipfsOpenFile:iii ipfsCloseFile:ii ipfsFileCid:iii ipfsReadFile:iiiii ipfsWriteFile:iiiii ipfsPushFile:iii ipfsSeekFile:iilii", ErrClientNotFound},
	{"clients of Ethereum", "ethNew:iiiii", ErrEthereumClient},
	{"clients of Ethereum", "ethBlockByNumber:iiii ethCurrentBlockNumber:ii ethBlockNumberFromIdSize:iii ethBlockNumberFromId:iii ethCurrentChainIdSize:ii ethCurrentChainId:ii " +
		"ethGetTransactionFromBlockByHash:iiii ethGetTransactionsFromBlockSize:iiii ethGetTransactionsFromBlock:iii ethGetTransactionMethodSize:iiiiiii " +
		"ethGetTransactionMethodBytes:iiiiiii ethTransactionRawSignaturesSize:iiiiiii ethTransactionRawSignatures:iiiiiii ethSendTransaction:iiii " +
		"ethGetTransactionMethodUint64:iiiiiii ethNewContractSize:iiiiiiii ethNewContract:iiii ethCallContractSize:iiiiiiii ethCallContract:iiiii " +
		"ethGetContractMethodSize:iiiiii ethGetContractMethod:iiiiii ethTransactContract:iiiiiiiiiiii ethCloseClient:i ethDeployContract:iiiiiiiiiiiiii " +
		"ethSubscribeContractEvent:iiiiiii", ErrClientNotFound},
	{"clients of Ethereum", "ethSignMessage:iiiii ethVerifySignature:iiiiii ethHexToECDSA:iii ethPubFromPriv:iii ethPubKeyFromSignedMessage:iiiii", ErrEthereumMethod},
}

// absent are the functions of these.
func (l *functions) absent() {
	for _, a := range absent {
		for _, f := range strings.Fields(a.functions) {
			name, types, _ := strings.Cut(f, ":")
			l.add(name, types, a.error, func(g guest) Errno {
				g.note(name + ": there are no " + a.what + " yet, so it returns an error")
				return a.error
			})
		}
	}
}
