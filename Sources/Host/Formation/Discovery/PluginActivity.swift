import CPlatform

/// What a thread does in a plugin, for the line that a crash leaves: without it the operator of a
/// node that died sees a signal and no culprit.
package enum PluginActivity {
    /// Runs `body` on the calling thread.
    static func during<Result>(
        _ function: String, of plugin: String, _ body: () -> Result
    ) -> Result {
        let line =
            "rqlited: plugin \(plugin) crashed in \(function); with -disco-isolation=process a crash "
            + "ends the plugin's process alone"
        return line.withCString { text in
            cplatform_begin_activity(text)
            defer { cplatform_begin_activity(nil) }
            return body()
        }
    }

    /// To be called once, before a plugin's code runs in this process.
    package static func explainCrashes() { cplatform_explain_crashes() }
}
