import Addresses
import JSON
import Settings
import TLS
import Telemetry
import Transport

/// What the flags of TLS bring about, for clients and between nodes.
struct Encryption: Sendable {
    private let settings: NodeSettings
    private let clients: Files?
    private let nodes: Files?

    /// What is kept of files, and their stamps from before they were read.
    private struct Files {
        let keeper: TLSKeeper
        let seen: [FileStamp?]

        init(_ paths: [String], _ keeper: () throws -> TLSKeeper) rethrows {
            seen = FileStamp.of(paths)
            self.keeper = try keeper()
        }
    }

    init(_ settings: NodeSettings, logger: Logger) throws {
        self.settings = settings
        clients = try Self.clients(settings)
        nodes = try Self.nodes(settings)
        warnOfFiles(logger)
        warnOfEnds(logger)
        warnOfNames(logger)
        warnOfOpenPorts(logger)
    }

    /// By ALPN, best first. What a client then speaks is told by its first bytes.
    private static let clientProtocols = ["h2", "http/1.1"]

    private static func clients(_ settings: NodeSettings) throws -> Files? {
        guard let https = settings.https else { return nil }
        let files = TLSFiles(
            certificate: https.certificate, key: https.key, authority: https.authority)
        do {
            return try Files(files.paths) {
                try TLSKeeper(
                    files,
                    TLSPolicy(
                        verifiesClients: https.verifiesClients, clientCommonName: https.commonName,
                        protocols: clientProtocols))
            }
        } catch {
            throw Daemon.StartFailure(description: "failed to start HTTP server: \(error)")
        }
    }

    private static func nodes(_ settings: NodeSettings) throws -> Files? {
        let protocols = [TransportSecurity.nodeProtocol]
        do {
            switch settings.nodeEncryption?.means {
            case .certificates(let given):
                let files = TLSFiles(
                    certificate: given.certificate, key: given.key, authority: given.authority)
                return try Files(files.paths) {
                    try TLSKeeper(
                        files,
                        TLSPolicy(
                            verifiesClients: given.verifiesClients,
                            clientCommonName: given.commonName,
                            verifiesServers: given.verifiesServers, serverName: given.serverName,
                            verifiesNodes: given.verifiesNodes, protocols: protocols))
                }
            case .secret(let file):
                return try Files([file]) {
                    try TLSKeeper(secretFile: file, protocols: protocols)
                }
            case nil: return nil
            }
        } catch {
            throw Daemon.StartFailure(description: "failed to start node mux: \(error)")
        }
    }

    var security: TransportSecurity {
        TransportSecurity(
            nodes: nodes?.keeper, nodesMayBePlain: settings.nodeEncryption?.demand == .prefer,
            clients: clients?.keeper)
    }

    /// What is to be read again when it changes. What can be used, and others will refuse, is named as at the start.
    /// - Parameter id: of this node.
    func reloading(of id: String, _ logger: Logger) -> [Reloader.Item] {
        let items = [
            clients.map { Self.item("-http-cert", $0) {} },
            nodes.map { files in
                Self.item("-node-cert", files) {
                    warnOfNames(logger)
                    warnOfIdentity(id, logger)
                }
            },
        ]
        return items.compactMap(\.self)
    }

    private static func item(
        _ what: String, _ files: Files, _ look: @escaping @Sendable () -> Void
    ) -> Reloader.Item {
        let keeper = files.keeper
        return Reloader.Item(
            what: "\(what) \(keeper.paths.joined(separator: " "))", paths: keeper.paths,
            seen: files.seen
        ) {
            try keeper.reload()
            look()
        }
    }

    // MARK: Warnings

    private func warnOfFiles(_ logger: Logger) {
        var secrets = [settings.https?.key]
        switch settings.nodeEncryption?.means {
        case .certificates(let given): secrets.append(given.key)
        case .secret(let file): secrets.append(file)
        case nil: break
        }
        for file in secrets.compactMap(\.self) where SmallFile.isReadableByOthers(file) {
            logger.warning(
                "every user of this machine can read a secret: chmod o-r", ["file": file])
        }
    }

    /// Said at the start and, by `Reloader`, each day.
    func warnOfEnds(_ logger: Logger) {
        for fact in facts where fact.daysLeft(at: .now()) <= CertificateFacts.warningDays {
            logger.warning(
                fact.daysLeft(at: .now()) < 0
                    ? "a certificate has expired" : "a certificate expires soon",
                ["file": fact.path, "expires": fact.ends.rfc3339])
        }
    }

    /// Others refuse who answers under a name that is not in the certificate.
    private func warnOfNames(_ logger: Logger) {
        guard case .certificates(let given)? = settings.nodeEncryption?.means,
            let own = nodes?.keeper.facts.first
        else { return }
        let host = given.serverName ?? settings.raft.advertised.host
        if given.verifiesServers, !own.isValid(for: host) {
            logger.warning(
                given.serverName == nil
                    ? "other nodes dial an address that the certificate is not for, and will refuse it"
                    : "the certificate is not for -node-verify-server-name: other nodes will refuse it",
                [
                    "dialled": settings.raft.advertised.host, "expected": host,
                    "certificate": own.path, "names": own.names.joined(separator: ", "),
                    "instead": given.serverName == nil
                        ? "add it to the certificate, or give all nodes -node-verify-server-name"
                        : "add it to the certificate",
                ])
        }
        if let name = given.commonName, own.commonName != name {
            logger.warning(
                "the certificate has not the Common Name that others may ask for, by this node's flag",
                [
                    "certificate": own.path, "common_name": own.commonName ?? "none",
                    "expected": name, "flag": "-node-verify-common-name",
                ])
        }
    }

    /// Others refuse a node whose certificate is another's.
    /// - Parameter id: of this node, which is not known before its data directory was read.
    func warnOfIdentity(_ id: String, _ logger: Logger) {
        guard case .certificates(let given)? = settings.nodeEncryption?.means,
            let own = nodes?.keeper.facts.first, !own.isFor(node: id),
            !own.nodes.isEmpty || given.verifiesNodes
        else { return }
        logger.warning(
            "the certificate is not for this node, by its ID: other nodes will refuse it",
            [
                "node.id": id, "certificate": own.path,
                "nodes": own.nodes.joined(separator: ", "), "expected": NodeName.uri(of: id),
            ])
    }

    private func warnOfOpenPorts(_ logger: Logger) {
        if settings.nodeEncryption?.demand == .prefer {
            logger.warning(
                "-node-tls prefer takes nodes that don't encrypt: give require when all do", [:])
        }
        guard settings.nodeEncryption == nil, !settings.raft.bind.isLoopback else { return }
        logger.warning(
            "whoever reaches the Raft port can speak as a node",
            [
                "raft.addr": settings.raft.bind.description,
                "instead": "-cluster-secret-file, -node-cert, or a network of its own",
            ])
    }

    // MARK: Status

    private var facts: [CertificateFacts] {
        (clients?.keeper.facts ?? []) + (nodes?.keeper.facts ?? [])
    }

    /// `http.tls` of `/status`, as rqlite has it, and when it ends.
    var clientStatus: JSONValue {
        guard let https = settings.https, let clients else {
            return .object([.init("enabled", "false")])
        }
        return .object([
            .init("enabled", "true"),
            .init(
                "client_auth",
                .string(https.verifiesClients ? "RequireAndVerifyClientCert" : "NoClientCert")),
            .init("cert_file", .string(https.certificate)),
            .init("key_file", .string(https.key)),
            .init("ca_file", .string(https.authority ?? "")),
            .init("common_name", .string(https.commonName ?? "")),
            .init("next_protos", .array(Self.clientProtocols.map { .string($0) })),
            .init("certificates", Self.document(clients.keeper.facts)),
        ])
    }

    /// `mux.tls` is rqlite's word; beside it stands how nodes know each other.
    var nodeStatus: [JSONValue.Member] {
        guard let encryption = settings.nodeEncryption, let nodes else {
            return [.init("tls", "disabled")]
        }
        let (identity, certificates): (String, JSONValue) =
            switch encryption.means {
            case .secret: ("a secret that all nodes know: it proves membership alone", .null)
            case .certificates(let given):
                (Self.identity(given, nodes.keeper.facts), Self.document(nodes.keeper.facts))
            }
        return [
            .init("tls", "enabled"), .init("tls_demand", .string(encryption.demand.rawValue)),
            .init("identity", .string(identity)), .init("certificates", certificates),
        ]
    }

    /// What nodes prove to each other.
    private static func identity(
        _ given: NodeSettings.NodeCertificates, _ facts: [CertificateFacts]
    ) -> String {
        guard given.verifiesClients else {
            return "certificates of who is dialled; anybody may dial"
        }
        guard given.verifiesServers else {
            return "certificates of who dials; anybody may be dialled"
        }
        if given.verifiesNodes { return "certificates, both ways: each proves which node it is" }
        return facts.first?.nodes.isEmpty ?? true
            ? "certificates, both ways: they prove membership alone"
            : "certificates, both ways: this node's proves which node it is, "
                + "others' may prove membership alone (-node-verify-id)"
    }

    private static func document(_ facts: [CertificateFacts]) -> JSONValue {
        .array(
            facts.map { fact in
                .object([
                    .init("file", .string(fact.path)),
                    .init("names", .array(fact.names.map { .string($0) })),
                    .init("nodes", .array(fact.nodes.map { .string($0) })),
                    .init("not_before", .string(fact.begins.rfc3339)),
                    .init("not_after", .string(fact.ends.rfc3339)),
                    .init("days_left", .integer(fact.daysLeft(at: .now()))),
                ])
            })
    }

    /// When the first of the certificates ends; nil without any.
    var firstEnd: WallTime? { facts.map(\.ends).min() }

    /// For `/debug/vars`: days until the first of the certificates ends; nil without any.
    var leastDaysLeft: Int64? { facts.map { $0.daysLeft(at: .now()) }.min() }
}

extension TLSKeeper: ConnectionSecurity {}
