import NodeLogic
import Telemetry

/// What the node's machine tells of troubles, in the log's words.
extension StateLog {
    func take(_ change: NodeStateChange) {
        switch change.change {
        case .troubled(let reason):
            troubled(
                change.kind.text, about: change.subject, reason: reason,
                level: change.kind.isError ? .error : .warning)
        case .over: cleared(change.kind.text, about: change.subject)
        case .forgotten: forget(change.kind.text, about: change.subject)
        }
    }
}
