/// Why a request is refused by the connection itself.
enum HTTPRefusal: Equatable {
    case bodyTooLarge(limit: Int)
    /// The bodies of all clients, or of this one, fill what the process may hold of them.
    case bodiesExhausted(Shortage)
    case bodyTooSlow
    /// As many bodies as the process takes in parts at a time are under way.
    case uploadsExhausted(Shortage)
    /// What takes the body in parts can do nothing with it; why, in words for the client.
    case bodyUnfit(String, isTooLarge: Bool)
    /// This node lacks what it takes to keep the body, for now; what, in words for the client.
    case bodyUnkept(String)
    case malformed(String)
    case headerTooLarge
    case targetTooLong
    /// The client expects something of the server that it doesn't do.
    case expectationUnknown
}
