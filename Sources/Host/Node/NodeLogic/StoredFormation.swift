package import Cluster
package import Registry

/// What the disk says of attempts to come to a cluster.
package struct StoredFormation: Equatable, Sendable {
    /// Of the agreement between candidates.
    package var acceptor: AcceptorState
    /// Of claims in a registry.
    package var registry: RegistryState

    package init(
        acceptor: AcceptorState = AcceptorState(), registry: RegistryState = RegistryState()
    ) {
        self.acceptor = acceptor
        self.registry = registry
    }
}
