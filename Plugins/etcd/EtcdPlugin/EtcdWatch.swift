import JSON

/// What the messages of one watch mean.
final class EtcdWatch {
    /// Why etcd ended the watch although nothing is known to have changed.
    private(set) var refusal: String?

    /// False: it is over.
    func take(_ message: JSONValue) -> Bool {
        if let error = message["error"] {
            refusal = error["message"]?.string ?? error.string ?? "for no reason given"
            return false
        }
        guard let result = message["result"] else { return true }
        if let events = result["events"]?.array, !events.isEmpty { return false }
        guard result["canceled"]?.bool == true else { return true }
        // What was to be watched is compacted: something must have changed since.
        let compacted = EtcdAnswer.integer(result["compact_revision"]) ?? 0
        if compacted == 0 {
            refusal = result["cancel_reason"]?.string ?? "for no reason given"
        }
        return false
    }
}
