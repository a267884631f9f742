/// Flags of TLS, and which of them go together.
extension NodeSettings.HTTPS {
    static func optional(
        _ flags: FlagParser.Result
    ) throws(NodeSettings.Invalid) -> NodeSettings.HTTPS? {
        let pair = (flags.optionalText("http-cert"), flags.optionalText("http-key"))
        guard case (let certificate?, let key?) = pair else {
            guard pair == (nil, nil) else {
                throw .init("either both -http-cert and -http-key must be set, or neither")
            }
            guard !flags.boolean("http-verify-client") else {
                throw .init("-http-verify-client needs -http-cert and -http-key")
            }
            guard flags.optionalText("http-verify-common-name") == nil else {
                throw .init("-http-verify-common-name needs -http-cert and -http-key")
            }
            return nil
        }
        let https = NodeSettings.HTTPS(
            certificate: certificate, key: key, authority: flags.optionalText("http-ca-cert"),
            verifiesClients: flags.boolean("http-verify-client"),
            commonName: flags.optionalText("http-verify-common-name"))
        guard https.verifiesClients || https.commonName == nil else {
            throw .init("-http-verify-common-name requires -http-verify-client")
        }
        return https
    }
}

extension NodeSettings.NodeEncryption {
    static func optional(
        _ flags: FlagParser.Result
    ) throws(NodeSettings.Invalid) -> NodeSettings.NodeEncryption? {
        guard let demand = Demand(rawValue: flags.text("node-tls")) else {
            throw .init("-node-tls takes require or prefer, and not \"\(flags.text("node-tls"))\"")
        }
        let certificates = try NodeSettings.NodeCertificates.optional(flags)
        if let file = flags.optionalText("cluster-secret-file") {
            guard certificates == nil else {
                throw .init("-cluster-secret-file and -node-cert exclude each other: give one")
            }
            return NodeSettings.NodeEncryption(means: .secret(file: file), demand: demand)
        }
        guard let certificates else {
            guard demand == .require else {
                throw .init("-node-tls prefer needs -node-cert or -cluster-secret-file")
            }
            return nil
        }
        return NodeSettings.NodeEncryption(means: .certificates(certificates), demand: demand)
    }
}

extension NodeSettings.NodeCertificates {
    static func optional(
        _ flags: FlagParser.Result
    ) throws(NodeSettings.Invalid) -> NodeSettings.NodeCertificates? {
        let pair = (flags.optionalText("node-cert"), flags.optionalText("node-key"))
        let verifiesServers = !flags.boolean("node-no-verify")
        guard case (let certificate?, let key?) = pair else {
            guard pair == (nil, nil) else {
                throw .init("either both -node-cert and -node-key must be set, or neither")
            }
            let alone =
                ["node-ca-cert", "node-verify-server-name", "node-verify-common-name"].first {
                    flags.optionalText($0) != nil
                }
                ?? ["node-verify-client", "node-no-verify", "node-verify-id"].first {
                    flags.boolean($0)
                }
            if let alone { throw .init("-\(alone) needs -node-cert and -node-key") }
            return nil
        }
        let certificates = NodeSettings.NodeCertificates(
            certificate: certificate, key: key, authority: flags.optionalText("node-ca-cert"),
            verifiesClients: flags.boolean("node-verify-client"),
            commonName: flags.optionalText("node-verify-common-name"),
            verifiesNodes: flags.boolean("node-verify-id"),
            verifiesServers: verifiesServers,
            serverName: flags.optionalText("node-verify-server-name"))
        if !certificates.verifiesClients {
            let alone = certificates.verifiesNodes ? "-node-verify-id" : "-node-verify-common-name"
            guard !certificates.verifiesNodes, certificates.commonName == nil else {
                throw .init("\(alone) requires -node-verify-client")
            }
        }
        guard verifiesServers || !certificates.verifiesNodes else {
            throw .init("-node-verify-id and -node-no-verify exclude each other")
        }
        return certificates
    }
}
