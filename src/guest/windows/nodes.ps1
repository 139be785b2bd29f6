# Prints elements of the UI Automation tree as JSON, by the roles and states of AT-SPI. $mosdat_input: {"roles": [...], "name":
# "...", "app": "...", "hidden": false}; what is empty says nothing. 4: a library is missing.
try {
    Add-Type -AssemblyName UIAutomationClient, UIAutomationTypes
} catch {
    $mosdat_err.WriteLine($_.Exception.GetBaseException().Message)
    exit 4
}
$query = $mosdat_input | ConvertFrom-Json
$most_nodes = 20000
$most_found = 500
$most_depth = 60
$most_text = 20000
$clock = [System.Diagnostics.Stopwatch]::StartNew()
$found = New-Object System.Collections.ArrayList
$unreadable = New-Object System.Collections.ArrayList
$count = @{ seen = 0; cut = $false }

# By the names of UI Automation's control types. What depends on more is in mosdat_role.
$roles = @{
    Button = 'push button'; Calendar = 'calendar'; CheckBox = 'check box'; ComboBox = 'combo box'; Custom = 'panel'
    DataGrid = 'table'; DataItem = 'table row'; Document = 'document frame'; Edit = 'entry'; Group = 'panel'
    Header = 'header'; HeaderItem = 'table column header'; Hyperlink = 'link'; Image = 'image'; List = 'list'
    ListItem = 'list item'; Menu = 'menu'; MenuBar = 'menu bar'; MenuItem = 'menu item'; Pane = 'panel'
    ProgressBar = 'progress bar'; RadioButton = 'radio button'; ScrollBar = 'scroll bar'; Separator = 'separator'
    Slider = 'slider'; Spinner = 'spin button'; SplitButton = 'push button menu'; StatusBar = 'status bar'
    Tab = 'page tab list'; TabItem = 'page tab'; Table = 'table'; Text = 'label'; Thumb = 'unknown'
    TitleBar = 'title bar'; ToolBar = 'tool bar'; ToolTip = 'tool tip'; Tree = 'tree'; TreeItem = 'tree item'
    Window = 'frame'
}

$element = [System.Windows.Automation.AutomationElement]
$request = New-Object System.Windows.Automation.CacheRequest
$request.TreeScope = [System.Windows.Automation.TreeScope]::Subtree
$request.TreeFilter = [System.Windows.Automation.Automation]::ControlViewCondition
$expand = [System.Windows.Automation.ExpandCollapsePattern]::ExpandCollapseStateProperty
$toggle = [System.Windows.Automation.TogglePattern]::ToggleStateProperty
$selected = [System.Windows.Automation.SelectionItemPattern]::IsSelectedProperty
$value = [System.Windows.Automation.ValuePattern]::ValueProperty
$fixed = [System.Windows.Automation.ValuePattern]::IsReadOnlyProperty
$number = [System.Windows.Automation.RangeValuePattern]::ValueProperty
$modal = [System.Windows.Automation.WindowPattern]::IsModalProperty
foreach ($property in $element::NameProperty, $element::ControlTypeProperty, $element::BoundingRectangleProperty,
    $element::IsEnabledProperty, $element::HasKeyboardFocusProperty, $element::IsKeyboardFocusableProperty,
    $element::IsOffscreenProperty, $element::IsPasswordProperty, $element::ProcessIdProperty, $element::ClassNameProperty,
    $expand, $toggle, $selected, $value, $fixed, $number, $modal) {
    $request.Add($property)
}

# Nothing where the element has no such property.
function mosdat_get($node, $property) {
    $got = $node.GetCachedPropertyValue($property, $true)
    if ([object]::ReferenceEquals($got, [System.Windows.Automation.AutomationElement]::NotSupported)) { return $null }
    $got
}

function mosdat_role($node, $depth) {
    $type = ($node.Cached.ControlType.ProgrammaticName -split '\.')[-1]
    if ($node.Cached.IsPassword) { return 'password text' }
    if ($type -eq 'Window' -and ($depth -gt 0 -or (mosdat_get $node $modal))) { return 'dialog' }
    if ($type -eq 'Button' -and $null -ne (mosdat_get $node $toggle)) { return 'toggle button' }
    if ($type -eq 'MenuItem' -and $null -ne (mosdat_get $node $toggle)) { return 'check menu item' }
    # A whole page is a document; a field of several lines is one to UI Automation, too.
    if ($type -eq 'Document' -and (mosdat_get $node $fixed) -eq $false) { return 'text' }
    if ($roles.ContainsKey($type)) { return $roles[$type] }
    'unknown'
}

function mosdat_states($node) {
    $states = New-Object System.Collections.ArrayList
    if ($node.Cached.IsEnabled) { [void]$states.AddRange(@('enabled', 'sensitive')) }
    [void]$states.Add('visible')
    if (-not $node.Cached.IsOffscreen) { [void]$states.Add('showing') }
    if ($node.Cached.IsKeyboardFocusable) { [void]$states.Add('focusable') }
    if ($node.Cached.HasKeyboardFocus) { [void]$states.Add('focused') }
    $is = mosdat_get $node $toggle
    if ($null -ne $is) {
        [void]$states.Add('checkable')
        if ("$is" -eq 'On') { [void]$states.AddRange(@('checked', 'pressed')) }
        if ("$is" -eq 'Indeterminate') { [void]$states.Add('indeterminate') }
    }
    $is = mosdat_get $node $selected
    if ($null -ne $is) {
        [void]$states.Add('selectable')
        if ($is) { [void]$states.Add('selected') }
        if ($is -and $node.Cached.ControlType.ProgrammaticName -eq 'ControlType.RadioButton') { [void]$states.Add('checked') }
    }
    $is = mosdat_get $node $expand
    if ($null -ne $is -and "$is" -ne 'LeafNode') {
        [void]$states.Add('expandable')
        if ("$is" -eq 'Collapsed') { [void]$states.Add('collapsed') } else { [void]$states.Add('expanded') }
    }
    $is = mosdat_get $node $fixed
    if ($is -eq $true) { [void]$states.Add('read-only') }
    if ($is -eq $false) { [void]$states.Add('editable') }
    if (mosdat_get $node $modal) { [void]$states.Add('modal') }
    , $states.ToArray()
}

# What it holds: a text, or a number; of a password nothing.
function mosdat_value($node) {
    if ($node.Cached.IsPassword) { return $null }
    $text = mosdat_get $node $value
    if ($null -eq $text -or $text -eq '') {
        $pattern = $null
        $has = $false
        try {
            $has = $node.TryGetCurrentPattern([System.Windows.Automation.TextPattern]::Pattern, [ref]$pattern)
            if ($has) { $text = $pattern.DocumentRange.GetText($most_text + 1) }
        } catch { $null = $_ }
    }
    if ($null -eq $text) {
        $is = mosdat_get $node $number
        if ($null -ne $is) { $text = ([double]$is).ToString('G10', [Globalization.CultureInfo]::InvariantCulture) }
    }
    $text
}

function mosdat_walk($node, $path, $id, $app) {
    if ($clock.ElapsedMilliseconds -gt 20000 -or $count.seen -ge $most_nodes -or $found.Count -ge $most_found -or $path.Count -gt $most_depth) {
        $count.cut = $true
        return
    }
    $count.seen += 1
    $role = mosdat_role $node $path.Count
    $name = [string]$node.Cached.Name
    $wanted = $query.name -eq '' -or $name.IndexOf($query.name, [StringComparison]::CurrentCultureIgnoreCase) -ge 0
    if ($wanted -and (@($query.roles).Count -eq 0 -or @($query.roles) -contains $role)) {
        $rect = $node.Cached.BoundingRectangle
        $place = $null
        if (-not $rect.IsEmpty -and -not [double]::IsInfinity($rect.X)) {
            $place = @([long]$rect.X, [long]$rect.Y, [long]$rect.Width, [long]$rect.Height)
        }
        $text = mosdat_value $node
        $whole = $true
        if ($null -ne $text -and $text.Length -gt $most_text) {
            $text = $text.Substring(0, $most_text)
            $whole = $false
        }
        [void]$found.Add([ordered]@{
            role = $role; name = $name; states = (mosdat_states $node); place = $place; path = $path; pid = $id; app = $app
            value = $text; whole = $whole
        })
    }
    # As in other systems: nothing that a closed menu holds is on the screen.
    if (-not $query.hidden -and @('menu', 'menu item') -contains $role) {
        if ($node.Cached.IsOffscreen -or "$(mosdat_get $node $expand)" -eq 'Collapsed') { return }
    }
    $inner = @($path) + , @($role, $name)
    foreach ($child in $node.CachedChildren) { mosdat_walk $child $inner $id $app }
}

function mosdat_size($node) {
    $size = 1
    foreach ($child in $node.CachedChildren) {
        $size += mosdat_size $child
        if ($size -gt 40) { break }
    }
    $size
}

foreach ($window in $element::RootElement.FindAll([System.Windows.Automation.TreeScope]::Children, [System.Windows.Automation.Condition]::TrueCondition)) {
    $app = 'a program'
    try {
        $id = $window.Current.ProcessId
        $app = (Get-Process -Id $id).ProcessName
        if ($query.app -ne '' -and $app.IndexOf($query.app, [StringComparison]::OrdinalIgnoreCase) -lt 0) { continue }
        $tree = $window.GetUpdatedCache($request)
        if ($tree.Cached.ClassName -like 'Chrome_WidgetWin*' -and (mosdat_size $tree) -lt 40) {
            # Chromium tells the elements of a page from the first question on.
            Start-Sleep -Milliseconds 1000
            $tree = $window.GetUpdatedCache($request)
        }
        mosdat_walk $tree @() $id $app
    } catch [System.Windows.Automation.ElementNotAvailableException] {
        # It has gone meanwhile.
        continue
    } catch {
        [void]$unreadable.Add("${app}: $($_.Exception.GetBaseException().Message)")
    }
}
$tree = [ordered]@{ nodes = $found.ToArray(); unreadable = $unreadable.ToArray(); seen = $count.seen; cut = $count.cut }
# Without it Windows PowerShell tells some lists as objects with a count.
Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue
ConvertTo-Json -InputObject $tree -Depth 8 -Compress
exit 0
