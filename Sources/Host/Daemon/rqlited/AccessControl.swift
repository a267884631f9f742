import Credentials
import HTTPAPI
import Replica
import Rights
import Settings
import Telemetry
import Transport

/// What `-auth` and its companions bring about: who is let in, and as whom this node comes to others.
struct AccessControl: Sendable {
    private let settings: NodeSettings.Access
    private let logger: Logger
    /// Nil without `-auth`.
    private let store: CredentialJudge?
    /// Of the file, from before it was read.
    private let seen: [FileStamp?]

    init(
        _ settings: NodeSettings.Access, metrics: MetricRegistry, logger: Logger
    ) throws {
        self.settings = settings
        self.logger = logger
        guard let file = settings.file else {
            (store, seen) = (nil, [])
            return
        }
        seen = FileStamp.of([file])
        let table = try Self.table(of: settings, logger)
        store = try CredentialJudge(table, metrics: metrics, logger: logger)
        if SmallFile.isReadableByOthers(file) {
            logger.warning(
                "every user of this machine can read the credentials: chmod o-r", ["file": file])
        }
    }

    private static func table(
        of settings: NodeSettings.Access, _ logger: Logger
    ) throws(Daemon.StartFailure) -> CredentialTable {
        let file = settings.file ?? ""
        let table: CredentialTable
        do {
            table = try CredentialTable(parsing: try SmallFile.read(file))
        } catch {
            throw Daemon.StartFailure(
                description: "failed to get credential store: \(file): \(error)")
        }
        if let user = settings.joinAs, table.plainCredential(of: user) == nil {
            throw Daemon.StartFailure(
                description: "-join-as \(user): \(file) has no such user with a password in plain "
                    + "text, which this node would have to show to others")
        }
        for warning in table.warnings {
            logger.warning("credentials", ["file": file, "remark": warning])
        }
        return table
    }

    /// For the HTTP API.
    var door: HTTPDoor { HTTPDoor(judge: store, open: settings.open) }

    /// For what comes from other nodes, and goes to them.
    func access(_ security: TransportSecurity) -> NodeAccess {
        let (store, user) = (store, settings.joinAs)
        return NodeAccess(judge: store, security: security) {
            user.flatMap { store?.plainCredential(of: $0) } ?? .none
        }
    }

    var isOn: Bool { store != nil }

    /// What is to be read again when it changes.
    var reloading: [Reloader.Item] {
        guard let store, let file = settings.file else { return [] }
        let (settings, logger) = (settings, logger)
        return [
            Reloader.Item(what: "-auth \(file)", paths: [file], seen: seen) {
                store.replace(try Self.table(of: settings, logger))
            }
        ]
    }

    func stop() { store?.stop() }
}
