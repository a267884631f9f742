package import Rights
package import Transport

/// Whom a node lets in, and as whom it comes to others.
package struct NodeAccess: Sendable {
    /// Of what other nodes forward and ask; nil: everybody may do everything.
    package var judge: (any RightsJudge)?
    /// Which connections are encrypted.
    package var security: TransportSecurity
    /// As whom the node joins and leaves a cluster. From any thread.
    package var credential: @Sendable () -> Credential

    package init(
        judge: (any RightsJudge)? = nil, security: TransportSecurity = TransportSecurity(),
        credential: @escaping @Sendable () -> Credential = { .none }
    ) {
        self.judge = judge
        self.security = security
        self.credential = credential
    }
}
