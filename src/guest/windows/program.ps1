# The file of a program: a path, a name in PATH, or one that the system knows (App Paths).
function mosdat_program($name) {
    $name = [Environment]::ExpandEnvironmentVariables($name)
    $path = $null
    if ($name -match '[\\/]') {
        foreach ($file in $name, "$name.exe") {
            if (-not $path -and (Test-Path -LiteralPath $file -PathType Leaf)) { $path = [System.IO.Path]::GetFullPath($file) }
        }
        if (-not $path) { throw "there is no file $name" }
    } else {
        $exact = [System.Management.Automation.WildcardPattern]::Escape($name)
        $found = Get-Command -Name $exact -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
        if ($found) { $path = $found.Definition }
    }
    foreach ($root in 'HKCU:', 'HKLM:') {
        foreach ($leaf in $name, "$name.exe") {
            if ($path) { continue }
            $key = Get-Item -LiteralPath "$root\Software\Microsoft\Windows\CurrentVersion\App Paths\$leaf" -ErrorAction SilentlyContinue
            if ($key) { $path = [string]$key.GetValue('') -replace '"', '' }
        }
    }
    if (-not $path) { throw "no program $name in PATH=$env:PATH, and none that is registered by that name (App Paths)" }
    if ($path -notmatch '\.(exe|com|scr)$') {
        throw "$path is no program but something that a program opens; name that one: [cmd.exe, /c, FILE] for a batch file, [explorer.exe, FILE] for a document or a shortcut"
    }
    $path
}
