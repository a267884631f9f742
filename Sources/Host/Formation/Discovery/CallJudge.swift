import PluginABI

/// Decides whether what came back from a call is an answer: the status must be one of the call's,
/// and the results must be as the interface promises.
struct CallJudge {
    let request: PluginRequest
    /// What messages call the plugin.
    let plugin: String

    func judge(_ status: Int32, _ context: CallContext) throws(PluginError) -> CallAnswer {
        let results = context.withResults { $0 }
        if let violation = results.violation { throw broken(violation) }
        switch (status, request) {
        case (RQD_OK, _): try checkResults(results)
        case (RQD_ABSENT, .read), (RQD_ABSENT, .write), (RQD_ABSENT, .erase),
            (RQD_CONFLICT, .write), (RQD_CONFLICT, .erase), (RQD_TIMEOUT, .wait):
            break
        case (RQD_ABSENT, _), (RQD_CONFLICT, _):
            throw broken("\(request.name) can't return status \(status)")
        default:
            let code = PluginError.Code(status: status)
            throw PluginError(
                code, results.message.isEmpty ? explain(code, status) : results.message)
        }
        return CallAnswer(status: status, results: results)
    }

    private func checkResults(_ results: CallResults) throws(PluginError) {
        switch request {
        case .read(let name), .write(let name, _, _):
            guard results.records.count == 1 else {
                throw broken("\(request.name) gave \(results.records.count) records, not one")
            }
            guard results.records[0].name == name else {
                throw broken("\(request.name) of \(name) gave \(results.records[0].name)")
            }
        case .list(let prefix):
            for record in results.records where !record.name.utf8.starts(with: prefix.utf8) {
                throw broken("the list of \(prefix) has \(record.name)")
            }
        case .start, .resolve, .erase, .wait, .describe, .update: break
        }
    }

    private func broken(_ what: String) -> PluginError {
        PluginError(.protocol, "plugin \(plugin) broke its contract: \(what)")
    }

    /// For plugins that return a status without a word.
    private func explain(_ code: PluginError.Code, _ status: Int32) -> String {
        let cause =
            switch code {
            case .config: "the configuration is wrong"
            case .unavailable: "the server can't be reached"
            case .auth: "the server refuses the credentials"
            case .timeout: "no answer came in time"
            case .cancelled: "the call was given up"
            case .protocol: "the server's answer makes no sense"
            case .unsupported: "the plugin does not support it"
            case .internal, .abandoned, .off, .busy: "internal error, status \(status)"
            }
        return "\(request.name) of plugin \(plugin) failed: \(cause)"
    }
}
