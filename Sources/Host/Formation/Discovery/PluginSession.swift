/// Where requests are performed: an instance of a plugin, in this process or in one of its own.
protocol PluginSession: Sendable {
    /// Blocks; on a plugin thread only. Returns the status, everything else is in the context. Throws
    /// what the plugin itself did not say: that there is no instance, or no longer.
    func perform(_ request: PluginRequest, _ context: CallContext) throws(PluginError) -> Int32
    /// Called once, when nothing runs. Blocks.
    func destroy()
    /// For a call that does not come back; nothing is asked of the session afterwards. True if it
    /// ended the call, and only then are thread and memory free again.
    func giveUp(during function: String) -> Bool
    /// Nothing can be asked of it any more.
    var hasEnded: Bool { get }
}
