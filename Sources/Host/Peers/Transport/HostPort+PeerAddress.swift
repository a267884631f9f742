import Addresses
import PeerProtocol
import Raft

extension HostPort {
    /// An address taken apart. Fails with `invalidAddress`.
    init(_ address: PeerAddress) throws(TransportError) {
        let text = address.rawValue
        do throws(Failure) {
            try self.init(parsing: text)
        } catch {
            throw TransportError(
                .invalidAddress, address: text.isEmpty ? "\"\"" : text,
                cause: "not an address of the form host:port or [IPv6]:port")
        }
    }
}
