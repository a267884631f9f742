/// An instance in a process of its own, called as the host calls it under `-disco-isolation=process`.
enum IsolatedSession {
    static func create(_ job: Job, _ arguments: InstanceArguments) throws(Finding) -> Creation {
        throw .skipped("isolation is not there yet")
    }
}
