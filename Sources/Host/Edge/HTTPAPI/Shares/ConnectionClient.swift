import NIOCore
import Rights

/// Whose the requests of one connection are: of the user or token that they show, where the rights judge has
/// verified it, else of the address. Belongs to an event loop; the streams of a connection of HTTP/2
/// have one together.
final class ConnectionClient {
    /// Of the other end, with the port, by which connections from one host are told apart; empty for a
    /// Unix socket.
    let address: String
    /// By the address.
    let account: ClientAccount
    private let clients: ClientTable
    private let door: HTTPDoor
    /// What was shown last, and whose it is: mostly a connection shows the same all the time.
    private var shown: (credential: Credential, account: ClientAccount)?

    init(_ address: SocketAddress?, _ clients: ClientTable, _ door: HTTPDoor) {
        self.address = address?.hostAndPort ?? ""
        account = clients.account(of: ClientTable.Key(address))
        self.clients = clients
        self.door = door
    }

    /// To be asked when the rights judge has let the request pass.
    func account(showing credential: Credential) -> ClientAccount {
        guard credential != .none, door.judge != nil else { return account }
        if let shown, shown.credential == credential { return shown.account }
        let name = door.judge?.principal(of: credential)
        let found = name.map { clients.account(of: .principal(Array($0.utf8))) } ?? account
        shown = (credential, found)
        return found
    }
}

extension SocketAddress {
    fileprivate var hostAndPort: String? {
        guard let host = ipAddress else { return nil }
        let name = host.contains(":") ? "[\(host)]" : host
        return port.map { "\(name):\($0)" } ?? name
    }
}

/// The place that a connection, or a further stream of one, has among all.
struct ConnectionPlace {
    let account: ClientAccount
    /// Why nothing may be asked for here but looking at the node; nil: all may.
    let shortage: Shortage?
    /// Of which it is taken.
    let budget: Budget

    var isObserver: Bool { shortage != nil }
}
