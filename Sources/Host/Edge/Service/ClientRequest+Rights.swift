package import Rights
import Wire

/// What who sends a request on must be granted. The rows of the HTTP API ask for the same.
extension ClientRequest.Operation {
    /// By the kind of the operation.
    package var need: RightsNeed {
        switch self {
        case .command(let command, _):
            switch command.kind {
            case .execute: RightsNeed([.execute])
            case .query: RightsNeed([.query], isReading: true)
            case .request: RightsNeed([.query, .execute])
            }
        case .backup: RightsNeed([.backup], isReading: true)
        case .load, .loadDump, .boot, .loadPart, .loadEnd: RightsNeed([.load])
        case .remove, .drop: RightsNeed([.remove])
        case .transferLeadership: RightsNeed([.leaderOperations])
        case .nodes: RightsNeed([.status], isReading: true)
        case .leader: RightsNeed([.leaderOperations], isReading: true)
        case .readiness: RightsNeed([.ready], isReading: true)
        case .limits(let change):
            change == nil
                ? RightsNeed([.status], isReading: true) : RightsNeed([.leaderOperations])
        case .applyDecision, .reseed: RightsNeed([.leaderOperations])
        case .checkpoint: RightsNeed([.snapshot])
        }
    }

    /// What is refused, in rqlite's words, where it has them.
    package var refusalName: String {
        switch self {
        case .command(let command, _):
            switch command.kind {
            case .execute: "Execute"
            case .query: "query"
            case .request: "Request"
            }
        case .backup: "backup"
        case .load, .loadDump, .loadPart, .loadEnd: "load"
        case .boot: "boot"
        case .remove: "remove node"
        case .transferLeadership: "stepdown"
        case .nodes: "nodes"
        case .leader: "leader"
        case .readiness: "readiness"
        case .limits: "limits"
        case .applyDecision: "apply decision"
        case .reseed: "reseed"
        case .drop: "drop addresses"
        case .checkpoint: "snapshot"
        }
    }
}
