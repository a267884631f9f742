/// Every check, in the order in which they are told: the cheap and fundamental ones first.
package enum CheckCatalog {
    package static let all: [Check] =
        FileChecks.all + NoteChecks.all + DescriptorChecks.all + ConfigChecks.all
        + ArgumentChecks.all + LifecycleChecks.all + InterfaceChecks.all + LeakChecks.all
        + ThreadChecks.all + CallChecks.all + DeadlineChecks.all + FaultChecks.all
        + ResolverChecks.all + RegistryChecks.all + RegistryRaceChecks.all
        + RegistryProcessChecks.all + WatchChecks.all + StatusChecks.all + MannersChecks.all
        + LateMannersChecks.all + OutsideChecks.all + GrowthChecks.all

    package static func find(_ name: String) -> Check? { all.first { $0.name == name } }

    /// Those whose name is one of `names`, or begins with one and a dot. None: all.
    package static func select(_ names: [String]) -> [Check] {
        guard !names.isEmpty else { return all }
        return all.filter { check in
            names.contains { check.name == $0 || check.name.hasPrefix($0 + ".") }
        }
    }
}
