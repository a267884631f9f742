import PeerProtocol
import Raft

/// Who may join with the SQLite extensions that it has.
extension MembershipDesk {
    /// Who comes in must be able to apply what the others do. A member stays one: of its extensions an
    /// alarm tells.
    func refusalForExtensions(of hello: Hello, _ raft: RaftMachine) -> String? {
        guard raft.membership[hello.identity.id]?.incarnation != hello.identity.incarnation,
            let sets = extensions(hello.versions.engine)
        else { return nil }
        return "node \(hello.identity.id) has other SQLite extensions than the cluster: "
            + "\(sets.other), here \(sets.own). Give it the same files by -extensions-path"
    }
}
