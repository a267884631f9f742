import NIOHTTP1
import Raft
import Service

/// What each failure becomes on the wire. The texts are rqlite's where it has one, since clients
/// match them; nothing else in the daemon compares or depends on a text.
///
/// For statements, a failure of the whole request is status 200 with a top-level `error`, as
/// rqlite has it, except where the client can do something about it by asking elsewhere or again:
/// no leader and an overloaded node are 503, a request over a limit is 413.
enum ErrorTable {
    enum Answer: Equatable {
        case plain(HTTPResponseStatus, String)
        case redirect(to: String)
        /// `{"results":[],"error":…}`
        case envelope(String)
        /// The lines of a check that failed.
        case lines(String)
    }

    static let leaderNotFound = "leader not found"

    static func answer(to pending: PendingReply, failedBy error: ServiceError) -> Answer {
        switch error {
        case .noLeader where !pending.operation.isObservation:
            .plain(.serviceUnavailable, text(error))
        case .notLeader(nil) where pending.redirects:
            .plain(.internalServerError, leaderNotFound)
        case .notLeader(let leaderURL?) where pending.redirects:
            .redirect(to: leaderURL + pending.target)
        case .busy: .plain(.serviceUnavailable, text(error))
        case .requestTooLarge: .plain(.payloadTooLarge, text(error))
        case .notAuthorized: .plain(.unauthorized, text(error))
        case .otherHistory: .plain(.preconditionFailed, text(error))
        case .behind: .plain(.gatewayTimeout, text(error))
        case .keyTaken: .plain(.unprocessableEntity, text(error))
        default: pending.operation.failure(error)
        }
    }

    static func text(_ error: ServiceError) -> String {
        switch error {
        case .notLeader: "not leader"
        case .noLeader(let waitingFor):
            waitingFor.isEmpty ? leaderNotFound : "\(leaderNotFound): waiting for \(waitingFor)"
        case .notReady(let detail):
            detail.isEmpty ? "store not ready" : "store not ready: \(detail)"
        case .leadershipLost: "leadership lost while committing log"
        case .timedOut(let what): "timed out waiting for \(what)"
        case .busy: "too many requests are waiting already: nothing was done, try again"
        case .staleRead: "stale read"
        case .linearizableTimeout(let index): "index \(index): timeout waiting for fsm"
        case .forwardingFailed(let address, let cause):
            "forwarding to \(address) failed: \(cause)"
        case .requestTooLarge(let limit): "request is larger than the limit of \(limit) bytes"
        case .transfer(let refusal), .membership(let refusal): text(refusal)
        case .diskFull: "database or disk is full"
        case .otherHistory(let wanted):
            "the commit token \(wanted) is of another cluster, or of a time before its recovery: "
                + "what it stands for can't come here"
        case .behind(let wanted, let applied):
            "timed out waiting for index \(wanted): this node has applied \(applied)"
        case .keyTaken(let index):
            "another request was made under this Idempotency-Key, at index \(index): nothing was done"
        case .unsuitable(let text): text
        case .notAuthorized(let operation): "remote \(operation) not authorized"
        }
    }

    private static func text(_ refusal: Refusal) -> String {
        switch refusal {
        case .notLeader: "not leader"
        case .busy: "too many changes are waiting already: nothing was done, try again"
        case .transferInProgress: "leadership transfer in progress"
        case .changeInProgress: "another membership change is in progress: try again"
        case .unknownMember: "node not found in cluster"
        case .alreadyMember: "another node has this ID: remove it first"
        case .notPromotable: "a read replica cannot become a voter: remove it and join it again"
        case .notCaughtUp: "the node has not received the whole log yet"
        case .lastVoter:
            "need at least one voter in configuration: the last voting node cannot be removed"
        case .wouldLoseQuorum(let silent):
            "removing this node would leave the cluster without a quorum that answers: "
                + "\(silent.map(\.rawValue).joined(separator: ", ")) would remain and "
                + "\(silent.count == 1 ? "does" : "do")n't answer. Start or remove what doesn't "
                + "answer first"
        case .noTransferTarget: "cannot find peer"
        case .transferToSelf: "cannot step down to the current Leader"
        case .entryTooLarge(let limit): "request is larger than the limit of \(limit) bytes"
        }
    }
}

/// The lines of `/readyz`. Each begins with `[+]`, the failing one too, as in rqlite; what the
/// node waits for follows the words that probes match.
enum ReadinessText {
    static func lines(for readiness: Readiness, sync: Bool) -> String {
        func line(_ text: String, _ detail: String) -> String {
            detail.isEmpty ? text : "\(text): \(detail)"
        }
        let node = "[+]node ok"
        let leader = node + "\n[+]leader ok"
        let store = leader + "\n[+]store ok"
        switch readiness {
        case .nodeOnly: return node
        case .noLeader(let detail):
            // What is waited for is "a leader: …", which the line has said.
            let rest = detail.hasPrefix("a leader: ") ? String(detail.dropFirst(10)) : detail
            return node + "\n" + line("[+]leader does not exist", rest)
        case .leaderUnreachable(let detail):
            return node + "\n" + line("[+]leader not contactable", detail)
        case .storeNotReady(let detail):
            return leader + "\n" + line("[+]store not ready", detail)
        case .notSynced(let detail): return store + "\n[+]sync \(detail)"
        case .databaseFailed(let detail):
            return store + (sync ? "\n[+]sync ok" : "") + "\n[+]db not ok: (\(detail))"
        case .ready(let synced): return store + (synced ? "\n[+]sync ok" : "") + "\n[+]db ok"
        }
    }

    static func isReady(_ readiness: Readiness) -> Bool {
        switch readiness {
        case .ready, .nodeOnly: true
        default: false
        }
    }
}
