/// Where certificate, key and authorities are, all PEM.
package struct TLSFiles: Equatable, Sendable {
    /// The chain, one's own certificate first; nil: none is shown.
    package var certificate: String?
    /// Nil exactly if `certificate` is.
    package var key: String?
    /// Who must have issued the other side's certificate; nil: one of the system's authorities.
    package var authority: String?

    package init(certificate: String? = nil, key: String? = nil, authority: String? = nil) {
        self.certificate = certificate
        self.key = key
        self.authority = authority
    }

    /// Those that there are.
    package var paths: [String] { [certificate, key, authority].compactMap(\.self) }
}

/// What is asked of the other side of a connection.
package struct TLSPolicy: Equatable, Sendable {
    /// Who connects must show a certificate of the authorities.
    package var verifiesClients: Bool
    /// The Common Name that the certificate of who connects must have; nil: any or none.
    package var clientCommonName: String?
    /// Who is connected to must; else anybody is believed.
    package var verifiesServers: Bool
    /// The name that the certificate of who is connected to must have; nil: the one that was dialed.
    package var serverName: String?
    /// The certificate of a node must name it, see `NodeName`; else one that names none is for all.
    package var verifiesNodes: Bool
    /// By ALPN, best first.
    package var protocols: [String]

    package init(
        verifiesClients: Bool = false, clientCommonName: String? = nil,
        verifiesServers: Bool = true, serverName: String? = nil, verifiesNodes: Bool = false,
        protocols: [String]
    ) {
        self.verifiesClients = verifiesClients
        self.clientCommonName = clientCommonName
        self.verifiesNodes = verifiesNodes
        self.verifiesServers = verifiesServers
        self.serverName = serverName
        self.protocols = protocols
    }
}
