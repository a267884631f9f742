/// A fake server that speaks HTTP: what all of them do alike is done by the server behind it.
package protocol HTTPBackend: Backend {
    var server: FakeHTTPServer { get }
}

extension HTTPBackend {
    package var port: UInt16 { server.port }
    package var url: String { server.url }
    package var requestCount: Int { server.requestCount }
    package func misbehave(_ plan: FaultPlan) { server.misbehave(plan) }
    package func goDown() { server.goDown() }
    package func comeUp() throws(BackendError) { try server.comeUp() }
    package func stop() { server.goDown() }
}
