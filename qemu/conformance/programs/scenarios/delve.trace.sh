# 180 main.work
HOME=/tmp dlv --check-go-version=false trace --exec ./goroutines '^main.work$' </dev/null 2>&1 | sed 's/goroutine([0-9]*)/goroutine(N)/'
