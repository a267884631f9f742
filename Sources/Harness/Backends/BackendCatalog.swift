/// The kinds of fake servers, by the names that manifests call them by.
package enum BackendCatalog {
    package static let kinds = [
        ConsulServer.kind, FakeDNSServer.kind, DocumentServer.kind, EtcdGatewayServer.kind,
        KubernetesAPIServer.kind, NomadServer.kind,
    ]

    package static func make(_ kind: String) throws(BackendError) -> any Backend {
        switch kind {
        case ConsulServer.kind: return try ConsulServer()
        case FakeDNSServer.kind: return try FakeDNSServer()
        case DocumentServer.kind: return try DocumentServer()
        case EtcdGatewayServer.kind: return try EtcdGatewayServer()
        case KubernetesAPIServer.kind: return try KubernetesAPIServer()
        case NomadServer.kind: return try NomadServer()
        default:
            throw BackendError(
                "there is no fake server \"\(kind)\"; known are \(kinds.joined(separator: ", "))")
        }
    }
}
