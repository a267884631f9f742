package import Rights

/// Who may do what over HTTP: the rights that an operation's row names are asked of the judge.
package struct HTTPDoor: Sendable {
    /// Nil: everybody may do everything, and nobody is asked who they are.
    let judge: (any RightsJudge)?
    /// The names of operations that nobody needs a right for.
    let open: Set<String>

    /// - Parameter open: `ready` and `metrics` at most, as `-auth-open` is checked to say: these look at a node, and
    ///   tell little.
    package init(judge: (any RightsJudge)? = nil, open: [String] = []) {
        self.judge = judge
        self.open = Set(open.map { $0 == "ready" ? HTTPOperation.readiness.name : $0 })
    }

    /// What becomes of who asks for an operation.
    enum Answer {
        case mayPass
        case refused
        /// Nobody can look at what was shown, for now.
        case noRoom
        /// The verdict comes later.
        case wait
    }

    func ask(
        _ operation: HTTPOperation, _ credential: Credential, for asker: Asker,
        later: @escaping @Sendable (Bool) -> Void
    ) -> Answer {
        guard let judge, !operation.permissions.isEmpty, !open.contains(operation.name) else {
            return .mayPass
        }
        switch judge.judge(credential, operation.rightsNeed, for: asker, later: later) {
        case .granted?: return .mayPass
        case .refused?: return .refused
        case .noRoom?: return .noRoom
        case nil: return .wait
        }
    }
}
