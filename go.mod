module slowpath

go 1.26.0

require golang.org/x/sys v0.49.0

require golang.org/x/arch v0.32.0

// What make builds; test programs there are no packages of this module.
ignore ./bin
