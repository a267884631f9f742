import Foundation
import ServerTesting

/// Records in a real etcd, on the loopback interface.
extension DiscoveryMode {
    static let etcd = DiscoveryMode(name: "etcd-kv", hindrance: { EtcdServer.hindrance }) { nodes in
        let server = try EtcdServer()
        return Surroundings(
            places: try Place.onLoopback(nodes),
            arguments: [
                "-disco-mode=etcd-kv", "-disco-config", #"{"endpoints":["\#(server.url)"]}"#,
            ],
            keptAlive: [server])
    }

    /// With TLS, certificates of the clients, and users.
    static let securedEtcd = DiscoveryMode(
        name: "etcd-kv with TLS and users", hindrance: { EtcdServer.hindrance }
    ) { nodes in
        let authority = try CertificateAuthority()
        var options = EtcdServer.Options()
        options.authority = authority
        let server = try EtcdServer(options)
        try server.enableAuthentication(password: "pass")
        let configuration = """
            {"endpoints":["\(server.url)"],"username":"rqlite","password":"$PASSWORD",\
            "tls":{"ca_file":"\(authority.certificate)",\
            "cert_file":"\(authority.client.certificate)","key_file":"\(authority.client.key)"}}
            """
        return Surroundings(
            places: try Place.onLoopback(nodes),
            arguments: ["-disco-mode=etcd-kv", "-disco-config", configuration],
            prefix: ["env", "PASSWORD=pass"], keptAlive: [server, authority])
    }
}
