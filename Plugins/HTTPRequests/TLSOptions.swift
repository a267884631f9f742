/// How a client meets servers whose scheme is `https`.
package struct TLSOptions: Equatable, Sendable {
    /// Certificates and keys in PEM.
    package enum PEM: Equatable, Sendable {
        /// A path, read at each new connection.
        case file(String)
        case text([UInt8])
    }

    package enum Authorities: Equatable, Sendable {
        /// Those that the system trusts.
        case system
        /// These alone.
        case certificates(PEM)
        /// A directory of certificates, named by their hashes as `openssl rehash` does. These alone.
        case directory(String)
    }

    package struct Identity: Equatable, Sendable {
        package var certificate: PEM
        package var key: PEM

        package init(certificate: PEM, key: PEM) {
            self.certificate = certificate
            self.key = key
        }
    }

    package var authorities = Authorities.system
    /// The client's own, for servers that ask for it.
    package var identity: Identity?
    /// The name to expect in the server's certificate, and to send for it; empty: the host's.
    package var serverName = ""
    /// Whether anything the server shows is believed.
    package var isUnverified = false

    package init() {}
}
