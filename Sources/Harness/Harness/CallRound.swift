import PluginABI
import Threads
import Time

/// All that an instance can be asked, one after the other: what succeeds and what is refused. What a plugin does wrong in one call only is seen by whoever makes all of them.
struct CallRound {
    /// The record that a round makes and erases.
    private static let name = "round"
    /// How long a round waits for a change that doesn't come.
    private static let shortWait: UInt64 = 10

    private let bench: Bench
    private let session: any Session
    /// For each call.
    private let milliseconds: UInt64
    private var role: UInt32? { bench.role }

    init(
        _ bench: Bench, _ session: any Session, milliseconds: UInt64 = Bench.patience * 1000
    ) {
        self.bench = bench
        self.session = session
        self.milliseconds = milliseconds
    }

    func perform() throws(Finding) {
        var token: [UInt8] = []
        if role == RQD_ROLE_REGISTRY {
            try change()
            token = try call(.read("leader")).results.token ?? []
            _ = try call(.list(""))
            if session.offers(.page("", after: "", most: 1)) {
                _ = try call(.page("", after: "", most: 2))
            }
        } else {
            token = try call(.resolve).results.token ?? []
        }
        let watched = role == RQD_ROLE_REGISTRY ? "leader" : ""
        if session.offers(.wait(watched, token: [])) {
            _ = try call(.wait(watched, token: []))
            if !token.isEmpty {
                _ = try call(.wait(watched, token: token), min(Self.shortWait, milliseconds))
            }
        }
        if session.offers(.describe) { _ = try call(.describe) }
        if session.offers(.update(0, changed: 0)) {
            for state in [RQD_NODE_JOINED, RQD_NODE_JOINED | RQD_NODE_LEADS] {
                _ = try call(.update(state, changed: RQD_NODE_LEADS))
            }
        }
    }

    /// A record is made, made again in vain, changed, erased in vain, erased, and erased again.
    private func change() throws(Finding) {
        var made = try call(.write(Self.name, expected: [], value: [1]))
        if made.status == RQD_CONFLICT, let left = try call(.read(Self.name)).record {
            _ = try call(.erase(Self.name, expected: left.revision))
            made = try call(.write(Self.name, expected: [], value: [1]))
        }
        _ = try call(.write(Self.name, expected: [], value: [1]))
        // Where nothing was made the server fails; what it would say of a revision is not known.
        guard let first = made.record?.revision else { return }
        let second = try call(.write(Self.name, expected: first, value: [2])).record?.revision
        _ = try call(.erase(Self.name, expected: first))
        guard let second else { return }
        _ = try call(.read(Self.name))
        _ = try call(.erase(Self.name, expected: second))
        _ = try call(.erase(Self.name, expected: second))
    }

    /// In this process on the calling thread, so that what a call does to it shows.
    private func call(_ request: Request, _ limit: UInt64? = nil) throws(Finding) -> CallReport {
        let deadline = MonotonicTime.now.nanoseconds + (limit ?? milliseconds) * 1_000_000
        guard let session = session as? DirectSession else {
            return try bench.finish(
                session.begin(request, deadline: deadline), request, due: deadline)
        }
        return session.perform(request, CallRecorder(deadline: deadline))
    }
}
