package uprobe

import "fmt"

// Left describes what is left of probes, or is empty.
func (p *Probes) Left() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.threads.mu.Lock()
	defer p.threads.mu.Unlock()
	if len(p.sites)+len(p.images)+len(p.threads.set) == 0 {
		return ""
	}
	return fmt.Sprintf("%d sites, %d images, %d threads are left", len(p.sites), len(p.images), len(p.threads.set))
}
