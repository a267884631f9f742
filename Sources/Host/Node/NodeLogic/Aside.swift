/// A large part of a value that is seldom needed, kept apart from it: the whole is copied for many
/// calls that only read it, and this part then isn't.
@propertyWrapper
struct Aside<Value: Sendable>: Sendable {
    /// Never empty. An array, for it is a value that lies elsewhere.
    private var place: [Value]

    init(wrappedValue: Value) { place = [wrappedValue] }

    var wrappedValue: Value {
        _read { yield place[0] }
        _modify { yield &place[0] }
    }
}
