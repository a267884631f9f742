import Glibc
import NIOCore
import NIOSSL
import Telemetry

/// What the files hold, read and checked together: a key that belongs to the certificate, a certificate
/// that is valid now, authorities that there are.
struct TLSMaterial {
    let server: NIOSSLContext?
    let client: NIOSSLContext
    let facts: [CertificateFacts]

    /// With forward secrecy and authenticated encryption alone; of TLS 1.3 all are.
    private static let suites = "ECDHE+AESGCM:ECDHE+CHACHA20"
    private static let secretSuite = "ECDHE-PSK-CHACHA20-POLY1305"

    init(_ files: TLSFiles, _ policy: TLSPolicy, at now: WallTime) throws(TLSFailure) {
        var facts: [CertificateFacts] = []
        var chain: [NIOSSLCertificate] = []
        var key: NIOSSLPrivateKey?
        if let path = files.certificate {
            chain = try Self.certificates(path)
            facts.append(CertificateFacts(chain[0], path: path))
            try Self.check(facts[0], at: now)
        }
        if let path = files.key { key = try Self.key(path) }
        var roots = NIOSSLTrustRoots.default
        if let path = files.authority {
            let authorities = try Self.certificates(path)
            roots = .certificates(authorities)
            let ends = authorities.map { CertificateFacts($0, path: path) }
            // A file of many may have old ones beside the one that counts, and ones for later.
            let begun = ends.filter { $0.begins <= now }
            if let last = (begun.isEmpty ? ends : begun).max(by: { $0.ends < $1.ends }) {
                try Self.check(last, at: now)
                facts.append(last)
            }
        }
        self.facts = facts
        let sources = chain.map { NIOSSLCertificateSource.certificate($0) }
        let source = key.map { NIOSSLPrivateKeySource.privateKey($0) }
        let pair = "\(files.certificate ?? "") and \(files.key ?? "")"
        if let source {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: sources, privateKey: source)
            if policy.verifiesClients {
                configuration.certificateVerification = .noHostnameVerification
                configuration.trustRoots = roots
                configuration.sendCANameList = true
            }
            server = try Self.context(configuration, policy, pair)
        } else {
            server = nil
        }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = sources
        configuration.privateKey = source
        configuration.trustRoots = roots
        // Its name is looked at by `PeerCheck`.
        configuration.certificateVerification =
            policy.verifiesServers ? .noHostnameVerification : .none
        client = try Self.context(configuration, policy, pair)
    }

    /// Both sides show that they know a secret, and nothing else counts.
    init(_ secrets: [ClusterSecret], protocols: [String]) throws(TLSFailure) {
        facts = []
        var configuration = TLSConfiguration.makePreSharedKeyConfiguration()
        configuration.cipherSuites = Self.secretSuite
        configuration.minimumTLSVersion = .tlsv12
        configuration.maximumTLSVersion = .tlsv12
        configuration.curves = [.x25519, .secp256r1]
        configuration.applicationProtocols = protocols
        configuration.pskHint = "rqlited"
        var serving = configuration
        serving.pskServerProvider = { asked in
            guard let secret = secrets.first(where: { $0.name == asked.clientIdentity }) else {
                throw TLSFailure("no secret of that name")
            }
            var key = NIOSSLSecureBytes()
            key.append(secret.key)
            return PSKServerIdentityResponse(key: key)
        }
        configuration.pskClientProvider = { _ in
            var key = NIOSSLSecureBytes()
            key.append(secrets[0].key)
            return PSKClientIdentityResponse(key: key, identity: secrets[0].name)
        }
        do {
            server = try NIOSSLContext(configuration: serving)
            client = try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSFailure("the cluster's secret can't be used: \(error)")
        }
    }

    private static func context(
        _ configuration: TLSConfiguration, _ policy: TLSPolicy, _ pair: String
    ) throws(TLSFailure) -> NIOSSLContext {
        var configuration = configuration
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuites = suites
        configuration.applicationProtocols = policy.protocols
        configuration.shutdownTimeout = .seconds(2)
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSFailure(
                "tls: private key does not match public key, or can't be used: \(pair): \(error)")
        }
    }

    private static func check(
        _ facts: CertificateFacts, at now: WallTime
    ) throws(TLSFailure) {
        guard facts.ends > now else {
            throw TLSFailure("\(facts.path): the certificate expired at \(facts.ends.rfc3339)")
        }
        guard facts.begins <= now else {
            throw TLSFailure(
                "\(facts.path): the certificate is not valid before \(facts.begins.rfc3339)")
        }
    }

    private static func certificates(_ path: String) throws(TLSFailure) -> [NIOSSLCertificate] {
        try checkReadable(path)
        do {
            let found = try NIOSSLCertificate.fromPEMFile(path)
            if !found.isEmpty { return found }
        } catch {
            // What it is about is said below.
        }
        throw TLSFailure("\(path): tls: failed to find any PEM data in certificate input")
    }

    private static func key(_ path: String) throws(TLSFailure) -> NIOSSLPrivateKey {
        try checkReadable(path)
        do {
            return try NIOSSLPrivateKey(file: path, format: .pem)
        } catch {
            throw TLSFailure("\(path): tls: failed to find any PEM data in key input")
        }
    }

    private static func checkReadable(_ path: String) throws(TLSFailure) {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            let text = String(cString: strerror(errno))
            throw TLSFailure("open \(path): \(text.prefix(1).lowercased())\(text.dropFirst())")
        }
        close(file)
    }
}
