import PluginABI

/// A stock plugin of role resolver.
package enum ResolverPlugin {
    package typealias Make = (InstanceArguments, HostLog) throws(CallFailure) -> any Resolver

    /// Never freed, as the ABI has it: to be called once.
    package static func descriptor(
        _ identity: PluginIdentity, make: @escaping Make
    ) -> PluginDescriptor {
        StockPlugin.descriptor(identity, role: RQD_ROLE_RESOLVER) {
            arguments, log throws(CallFailure) in
            Instance(try make(arguments, log))
        }
    }
}
