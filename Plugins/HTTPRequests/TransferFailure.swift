import PluginABI

/// Why a transfer came to nothing, before it is said of which server and request.
struct TransferFailure: Error {
    let code: rqd_code
    let what: String
    var mayHaveArrived = false

    init(_ code: rqd_code, _ what: String) {
        self.code = code
        self.what = what
    }
}
