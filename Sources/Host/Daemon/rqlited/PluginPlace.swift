import Discovery
import Settings

/// Where a plugin runs, as `-disco-isolation` says, and in what surroundings when that is a process of
/// its own, now or later.
struct PluginPlace {
    private let choice: PluginChoice
    private let isInDaemon: Bool
    /// This program once more. A plugin that begins in the daemon finds there what it found before, but
    /// for the daemon's secrets.
    let process: PluginProcess

    /// - Parameter withheld: variables that hold secrets of the daemon.
    init(_ choice: PluginChoice, _ discovery: NodeSettings.Discovery, withheld: Set<String>) {
        self.choice = choice
        isInDaemon =
            switch discovery.isolation {
            case .none: true
            case .process: false
            case .auto:
                choice.isIn(PluginCatalog.stockDirectories(executable: PluginCatalog.executable))
                    && !choice.file.note.needsOwnProcess
            }
        let variables = PluginVariables(named: discovery.variables, withheld: withheld)
        process = PluginProcess(
            arguments: Invocation.pluginServerArguments,
            variables: isInDaemon ? variables.wide : variables)
    }

    /// Loads the plugin if it shall run in this process.
    /// - Throws: why it can't be.
    func source() throws(PluginRefusal) -> PluginSource {
        guard isInDaemon else { return .isolated(choice.location, process) }
        PluginActivity.explainCrashes()
        return .loaded(try Plugin(loading: choice), refuge: process)
    }
}
